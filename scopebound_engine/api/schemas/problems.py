"""Problems."""

from typing import (
    Annotated,
    NotRequired,  # pydantic takes typing's from Python 3.12 on
)

from pydantic import Field, with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Uuid
from scopebound_engine.errors import Level


@with_config(EXACT)
class Finding(TypedDict):
    """One thing wrong with a bundle, and how to mend it.

    `line` and `column` count from 1; they are 0 where it concerns the whole file or bundle.
    """

    step: str
    level: Level
    file: str
    line: int
    column: int
    message: str
    remedy: str


@with_config(EXACT)
class Problem(TypedDict):
    """What went wrong and what to do about it (RFC 9457); `instance` is the request's id."""

    type: str
    title: str
    status: int
    detail: str
    instance: Uuid
    field: NotRequired[Annotated[str, Field(description="Dotted path of the unfit field.")]]
    findings: NotRequired[
        Annotated[list[Finding], Field(description="All that is wrong with the bundle.")]
    ]
    cause: NotRequired[
        Annotated[str, Field(description="Why a recorded decision cannot be made again.")]
    ]
