"""Sessions as they are looked at."""

from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Timestamp, Uuid
from scopebound_engine.session.store import Status


@with_config(EXACT)
class RateWindow(TypedDict):
    """What is left of a limit; 0 is no limit. There is nothing to wait for while a call is left."""

    limit: int
    remaining: int
    retry_after_seconds: int


@with_config(EXACT)
class Rate(TypedDict):
    """The session's two limits."""

    minute: RateWindow
    hour: RateWindow


@with_config(EXACT)
class DriftFacts(TypedDict):
    """How far the session's allowed calls speak against its role's baseline."""

    ready: bool
    log_evidence: float
    latched: bool
    calls: int
    baseline_sessions: int


@with_config(EXACT)
class ChildSession(TypedDict):
    """A session that another one spawned."""

    session_id: Uuid
    role: str
    status: Status
    expires_at: Timestamp


class _Shown(TypedDict):
    session_id: Uuid
    status: Status
    agent_id: str
    role: str
    role_id: Uuid
    role_revision: int
    created_at: Timestamp
    expires_at: Timestamp
    revoked_at: Timestamp | None
    revoked_reason: str | None
    parent_session_id: Uuid | None
    root_session_id: Uuid
    delegation_depth_remaining: int
    rate: Rate
    calls: dict[str, int]
    drift: DriftFacts


@with_config(EXACT)
class SessionState(_Shown):
    """A session as it is now; `calls` are the allowed ones by tool."""


@with_config(EXACT)
class SessionWithChildren(_Shown):
    """A session as it is now, and those that it spawned."""

    children: list[ChildSession]


@with_config(EXACT)
class Revocation(TypedDict):
    """What a revocation ended: the session and all live ones below it."""

    revoked: Literal[True]
    session_id: Uuid
    reason: str
    sessions_ended: int
