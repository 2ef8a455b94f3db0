"""Baselines of roles, by which drift is judged."""

from pydantic import with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Timestamp, Uuid


@with_config(EXACT)
class FittedBaseline(TypedDict):
    """What past sessions of a role did.

    `frequencies` are shares of calls by tool, and `others` that of all other tools together.
    `concentration` is small where each session goes its own way, and large where all are alike.
    """

    id: int
    fitted_at: Timestamp
    sessions: int
    calls: int
    concentration: float
    frequencies: dict[str, float]
    others: float


@with_config(EXACT)
class BaselineAnswer(TypedDict):
    """A role's baseline, which new sessions pin; while it is not `ready` there is none.

    `sessions` have ended and would be looked at by the next fit, which needs as many as `needed`.
    `notices` say in words which deviating sessions the shipped bundle would deny, and when.
    """

    ready: bool
    role_id: Uuid
    sessions: int
    needed: int
    baseline: FittedBaseline | None
    notices: list[str]
