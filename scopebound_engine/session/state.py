"""Per-session state: the seam, and the arithmetic of token buckets that its implementations share.

One round trip tells a call what may have changed since its token was signed: what is left in the
session's buckets, whether its role is still in force, and which generation of bundle is. So a role
that is suspended or deleted stops its sessions with the very next call on every node, and from an
activation's commit on no call is decided by the bundle before it.

A session has two buckets, one per minute and one per hour, each as large as its limit and refilled
continuously. A call takes a token from both, or from none if either is empty.

Tokens are counted in whole *units*, so that the arithmetic is exact: one token is as many units as
its window has microseconds, and a limit of n refills n units in each microsecond.
"""

from dataclasses import dataclass
from typing import Final, Protocol

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 3_600_000_000
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """One bucket as a call found it. `granted`: it had a token, or has no limit (limit 0).

    `remaining` is what is left after this call, in whole tokens; `retry_after_seconds` is when
    there is a token again, at least 1, or 0 where one was granted.
    """

    limit: int
    granted: bool
    remaining: int
    retry_after_seconds: int


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a call needs to know of its session. `revoked_reason`: why it may do nothing more.

    `generation` is that of the bundle in force when the call entered, 0 where none ever was.
    """

    minute: Window
    hour: Window
    revoked_reason: str | None = None
    generation: int = 0

    @property
    def granted(self) -> bool:
        """Whether the call took its tokens: both buckets had one, or have no limit."""
        return self.minute.granted and self.hour.granted


class SessionState(Protocol):
    """Buckets, shared by all workers of a host or all nodes of a database, and what stands beside.

    Buckets may be lost with a crash of the machine or the database server. They come back empty,
    never full: only `open` fills them, and a session that is not known has none.
    """

    def open(self, session_id: str, per_minute: int, per_hour: int, expires_at: int) -> None:
        """Give a new session full buckets; a known one keeps its own.

        `expires_at`, in epoch seconds, is when they may be forgotten. Raises StateUnavailableError.
        """

    def enter(self, session_id: str, role_id: str, per_minute: int, per_hour: int) -> SessionFacts:
        """Take a token from both buckets, or none, and see what is in force: the role, the bundle.

        Whatever was committed before the call is seen. Only the session's own role counts: to
        suspend a parent stops the parent's own sessions, not those of its children, which are roles
        of their own. Raises StateUnavailableError.
        """

    def close(self) -> None:
        """Let go of files and connections."""


def refilled(units: int, limit: int, passed_us: int, window_us: int) -> int:
    """The units of a bucket after some time. A clock that went backwards refills nothing."""
    passed_us = min(max(passed_us, 0), window_us)
    return min(units + limit * passed_us, limit * window_us)


def revoked_reason(role_found: bool, suspended_reason: str | None) -> str | None:
    """What a role's row says of its sessions; `suspended_reason` is null while it is in force."""
    if not role_found:
        return "role deleted"
    if suspended_reason is None:
        return None
    return f"role suspended: {suspended_reason}" if suspended_reason else "role suspended"


def facts(
    per_minute: int,
    per_hour: int,
    minute_units: int,
    hour_units: int,
    revoked: str | None = None,
    generation: int = 0,
) -> SessionFacts:
    """What a call finds in buckets that hold so many units, before it takes any."""
    minute = _window(per_minute, minute_units, MINUTE_US)
    hour = _window(per_hour, hour_units, HOUR_US)
    if minute.granted and hour.granted:
        minute, hour = _less_one(minute), _less_one(hour)
    return SessionFacts(minute, hour, revoked, generation)


def _window(limit: int, units: int, window_us: int) -> Window:
    if limit == 0:
        return UNLIMITED
    if units >= window_us:
        return Window(limit, True, units // window_us, 0)
    wait_us = -(-(window_us - units) // limit)
    return Window(limit, False, 0, -(-wait_us // _SECOND_US))


def _less_one(window: Window) -> Window:
    return Window(window.limit, True, window.remaining - 1, 0) if window.limit else window


UNLIMITED: Final = Window(limit=0, granted=True, remaining=0, retry_after_seconds=0)
