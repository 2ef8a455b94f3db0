"""What a bundle would have changed in decisions that were recorded."""

from typing import Annotated

from pydantic import Field, with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Uuid
from scopebound_engine.author.backtesting.flips import Kind

_Code = Annotated[str, Field(description='The first deny code, or "allow".')]


@with_config(EXACT)
class Said(TypedDict):
    """A violation; `rules` are the places of the rules that can deny with its code."""

    code: str
    reason: str
    rules: list[str]


@with_config(EXACT)
class FlipExample(TypedDict):
    """A decision that flipped, by the id of its record; no violations where it is allowed."""

    kind: Kind
    id: Uuid
    at: str
    tool: str
    role: str
    was: list[Said]
    now: list[Said]


@with_config(EXACT)
class FlipGroup(TypedDict):
    """Flips that are alike."""

    kind: Kind
    was: _Code
    now: _Code
    tool: str
    role: str
    count: int


@with_config(EXACT)
class FlipCounts(TypedDict):
    """How many decisions flipped, by kind."""

    deny_to_allow: int
    allow_to_deny: int
    deny_code: int


@with_config(EXACT)
class DecidedBy(TypedDict):
    """A bundle that made so many of the decisions."""

    version: str
    checksum: str
    decisions: int


@with_config(EXACT)
class BacktestReport(TypedDict):
    """Recorded decisions, decided again by a bundle. Groups come by kind, the largest first."""

    digest: Annotated[
        str,
        Field(
            description="SHA-256, in hexadecimal, of which policy flips what: of `policy` and the "
            "groups without their counts."
        ),
    ]
    flips: int
    name: str
    version: str
    policy: Annotated[
        str, Field(description="SHA-256, in hexadecimal, of its rules, data and manifest.")
    ]
    records: Annotated[int, Field(description="So many were looked at, newest first.")]
    decided: Annotated[int, Field(description="So many of them were decided again.")]
    undecidable: Annotated[
        dict[str, int], Field(description="Why the others could not be, with their number.")
    ]
    bundles: list[DecidedBy]
    kinds: FlipCounts
    altered: Annotated[
        int, Field(description="Denials with the same first code, and other violations or reasons.")
    ]
    without_verdict: Annotated[
        int, Field(description="Calls on which the bundle fails, which denies them: POLICY_ERROR.")
    ]
    groups: list[FlipGroup]
    examples: list[FlipExample]
    warnings: list[str]
    seconds: float
