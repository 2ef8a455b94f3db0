"""Problems."""

from typing import (
    Annotated,
    NotRequired,  # pydantic takes typing's from Python 3.12 on
)

from pydantic import Field, with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Uuid


@with_config(EXACT)
class Problem(TypedDict):
    """What went wrong and what to do about it (RFC 9457); `instance` is the request's id."""

    type: str
    title: str
    status: int
    detail: str
    instance: Uuid
    field: NotRequired[Annotated[str, Field(description="Dotted path of the unfit field.")]]
