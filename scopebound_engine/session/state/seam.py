"""Per-session state: the seam, and the values that its implementations make and share.

One round trip tells a call everything that may have changed since its token was signed: what is
left in the session's buckets, what it called before, whether this very call came before, whether
the session, its role and its baseline still stand, and which generation of bundle is in force. So a
session that is revoked stops with the very next call on every node, and from an activation's commit
on no call is decided by the bundle before it.

There are two kinds of it. What is *durable* lies in the database's own tables, is only read here,
and anew by every call. What is *volatile* changes with every call and may be lost with a crash of
the machine or the database server: buckets, counts, call ids. It comes back empty, never full.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from scopebound_engine.session.state.buckets import (
    HOUR_US,
    MINUTE_US,
    UNLIMITED,
    Window,
    less_one,
    window,
)

__all__ = [
    "CALL_IDS_PER_SESSION",
    "MAX_REPLAYS",
    "REPEAT_US",
    "SWEPT_AFTER_SECONDS",
    "UNLIMITED",
    "Entry",
    "SessionFacts",
    "SessionState",
    "Standing",
    "Units",
    "Window",
    "facts",
]

# A call id that comes again is the same call for so long and so often; then it is a new one.
REPEAT_US: Final = 30_000_000
MAX_REPLAYS: Final = 3
# As many of a session's call ids are remembered: an agent cannot fill the table with them.
CALL_IDS_PER_SESSION: Final = 10_000
# Of volatile state that nobody dropped: how long after the end of its session it is swept.
SWEPT_AFTER_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Entry:
    """A call that enters its session. Limits are those of its token, 0 for none.

    `per_server` are calls per minute to the MCP server `server`. `slot` counts the call among
    `slots` kinds of calls; one past the last is the last. `call_id` is the client's, if it gave
    one, and `digest` stands for all else that the decision depends on: the endpoint, the tool, the
    arguments, the server.
    """

    session_id: str
    role_id: str
    per_minute: int
    per_hour: int
    server: str | None = None
    per_server: int = 0
    slot: int = 0
    slots: int = 1
    call_id: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a call needs to know of its session. `revoked_reason`: why it may do nothing more.

    `server` is the bucket of the call's MCP server. `generation` is that of the bundle in force
    when the call entered, 0 where none ever was. `counts` are the session's calls before this one,
    by slot.

    `replayed` is how often the same call came before within REPEAT_US. Buckets and counts are then
    those that the first one found, and it took no token. `conflict`: its call id was given to
    another call within that time, which found these; it took none either.
    """

    minute: Window
    hour: Window
    server: Window | None = None
    revoked_reason: str | None = None
    generation: int = 0
    counts: tuple[int, ...] = ()
    baseline_id: int | None = None
    latched: bool = False
    replayed: int = 0
    conflict: bool = False

    @property
    def granted(self) -> bool:
        """Whether the buckets had a token for the call, or no limit."""
        return (
            self.minute.granted
            and self.hour.granted
            and (self.server is None or self.server.granted)
        )

    @property
    def counted(self) -> bool:
        """Whether the call was added to the session's counts; see `SessionState.uncount`."""
        return self.revoked_reason is None and not self.replayed and not self.conflict


class SessionState(Protocol):
    """Volatile state, shared by all workers of a host or all nodes of a database, and what stands.

    Every method raises StateUnavailableError.
    """

    def open(self, session_id: str, per_minute: int, per_hour: int, expires_at: int) -> None:
        """Give a new session full buckets; a known one keeps its own.

        `expires_at` is in epoch seconds. A session that was stored but not opened has empty ones.
        """

    def enter(self, entry: Entry) -> SessionFacts:
        """Take the call's tokens, or none, count it, and see what is in force.

        Whatever was committed before the call is seen. Only the session's own row and its own role
        count: a revocation marks all that a session spawned, and to suspend a role stops the
        sessions of that role. A session that is unknown, revoked or of such a role takes no tokens,
        is not counted, and leaves no trace.
        """

    def uncount(self, session_id: str, slot: int) -> None:
        """Take a call that was counted out again, because it was denied."""

    def forget_counts(self, session_id: str) -> None:
        """Let the session's counts begin anew."""

    def peek(self, session_id: str, per_minute: int, per_hour: int) -> tuple[Window, Window]:
        """The session's buckets per minute and per hour as they are; nothing is taken."""

    def take(self, bucket: str, per_minute: int) -> Window:
        """Take a token, or none, from a bucket of this name, which is no session's.

        One that nobody took from for a while is full, and so is one that was lost.
        """

    def counts_of(self, session_ids: Collection[str]) -> dict[str, tuple[int, ...]]:
        """The counts by slot of those sessions that have made calls; some hundred at a time."""

    def drop(self, session_ids: Collection[str]) -> None:
        """Forget sessions that are over; some hundred at a time."""

    def sweep(self) -> None:
        """Forget some call ids that are too old to count, and what was never dropped."""

    def close(self) -> None:
        """Let go of files and connections."""


class Standing(NamedTuple):
    """What the database says of a call's session and its role, and the generation in force."""

    generation: int
    role_found: bool
    suspended_reason: str | None  # null while the role is in force
    session_found: bool
    is_revoked: bool
    session_reason: str | None
    baseline_id: int | None
    latched: bool

    @property
    def revoked_reason(self) -> str | None:
        """Why the session may do nothing more."""
        if not self.session_found:
            return "the session is not known here"
        if self.is_revoked:
            return self.session_reason or "session revoked"
        if not self.role_found:
            return "role deleted"
        if self.suspended_reason is None:
            return None
        why = self.suspended_reason
        return f"role suspended: {why}" if why else "role suspended"


class Units(NamedTuple):
    """What the buckets of a call hold before it takes any; 0 where there is no limit."""

    minute: int = 0
    hour: int = 0
    server: int = 0

    def cover(self, entry: Entry) -> bool:
        """Whether the call is granted: each bucket has a token, or no limit."""
        return (
            (entry.per_minute == 0 or self.minute >= MINUTE_US)
            and (entry.per_hour == 0 or self.hour >= HOUR_US)
            and (entry.per_server == 0 or self.server >= MINUTE_US)
        )


def facts(
    entry: Entry,
    standing: Standing,
    units: Units,
    counts: Sequence[int] = (),
    *,
    replayed: int = 0,
    conflict: bool = False,
) -> SessionFacts:
    """What a call finds that stands so, with so many units in its buckets."""
    revoked = standing.revoked_reason
    minute = window(entry.per_minute, units.minute, MINUTE_US)
    hour = window(entry.per_hour, units.hour, HOUR_US)
    server = None
    if entry.server is not None:
        server = window(entry.per_server, units.server, MINUTE_US)
    if revoked is None and units.cover(entry):
        minute, hour = less_one(minute), less_one(hour)
        server = server and less_one(server)
    return SessionFacts(
        minute,
        hour,
        server,
        revoked,
        standing.generation,
        tuple(counts) or (0,) * entry.slots,
        standing.baseline_id,
        bool(standing.latched),
        replayed,
        conflict,
    )
