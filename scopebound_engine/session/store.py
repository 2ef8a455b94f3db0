"""The table of sessions: which there are, which spawned which, and which were revoked.

A revocation marks a session and everything it spawned, so that a call needs to see its own row
only. Makers and revokers of sessions shut each other out by rows: who makes a session holds,
shared, the rows that it depends on (its parent, its role, its API key) until it is there; who
revokes changes those rows first, and looks for what depends on them after that.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import api_keys, roles, sessions
from scopebound_engine.errors import NotFoundError
from scopebound_engine.times import moment

Status = Literal["active", "expired", "revoked"]

# How long a session that is over can be looked at.
KEPT_AFTER_EXPIRY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as it is stored. `claims` are those of its token; `latched_at`: see `drift/`."""

    id: str
    role_id: str
    role_revision: int
    api_key_id: str | None
    parent_id: str | None
    created_at: datetime
    expires_at: datetime
    claims: Mapping[str, Any]
    baseline_id: int | None = None
    revoked_at: datetime | None = None
    revoked_reason: str | None = None
    latched_at: datetime | None = None

    def status(self, now: datetime) -> Status:
        """What it is at this moment; a revoked session stays that when it expires."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "active"


class Sessions:
    """Sessions in the database. Every method raises DatabaseUnavailableError when it is away."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine, self._clock = engine, clock

    def create(self, session: SessionRecord) -> bool:
        """Add a session, if what it depends on is in force: parent, role and API key.

        False, and nothing is added, where one of them no longer is.
        """
        with transaction(self._engine) as connection:
            if not self._may_be(connection, session):
                return False
            connection.execute(insert(sessions).values(_values(session)))
            return True

    def get(self, session_id: str) -> SessionRecord:
        """The session. Raises NotFoundError."""
        found = self.find(session_id)
        if found is None:
            raise NotFoundError(
                f"there is no session with the id {session_id}; "
                f"one that is over is forgotten after {KEPT_AFTER_EXPIRY.days} day"
            )
        return found

    def find(self, session_id: str) -> SessionRecord | None:
        """The session, if it is known."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(sessions).where(sessions.c.id == session_id.lower())
            ).one_or_none()
        return None if row is None else _record(row)

    def children(self, session_id: str) -> tuple[SessionRecord, ...]:
        """The sessions that this one spawned itself, eldest first."""
        spawned = select(sessions).where(sessions.c.parent_id == session_id.lower())
        with reading(self._engine) as connection:
            found = connection.execute(spawned.order_by(sessions.c.created_at, sessions.c.id))
            return tuple(map(_record, found))

    def revoke(self, session_id: str, reason: str) -> int:
        """End a session and all that it spawned, for every call that begins after this returned.

        How many live ones ended; a session that is over or was revoked before ends no more.
        """
        with transaction(self._engine) as connection:
            return self._revoke(connection, sessions.c.id == session_id.lower(), reason)

    def revoke_of_role(self, role_id: str, reason: str) -> int:
        """End all live sessions of a role and what they spawned; how many. Raises NotFoundError."""
        with transaction(self._engine) as connection:
            locked = select(roles.c.id).where(roles.c.id == role_id).with_for_update()
            if connection.execute(locked).one_or_none() is None:
                raise NotFoundError(f"there is no role with the id {role_id}")
            return self._revoke(connection, sessions.c.role_id == role_id, reason)

    def revoke_of_key(self, api_key_id: str) -> int:
        """End all live sessions that an API key made and what they spawned; how many.

        The key was revoked before, so that it makes no more of them meanwhile.
        """
        made = sessions.c.api_key_id == api_key_id
        with transaction(self._engine) as connection:
            return self._revoke(connection, made, "the API key that made it was revoked")

    def count_former(self, role_ids: Collection[str], before: datetime) -> int:
        """How many live sessions of these roles were made before a moment."""
        made = and_(sessions.c.role_id.in_(role_ids), sessions.c.created_at < before)
        query = select(func.count()).select_from(sessions).where(self._live(), made)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def latch(self, session_id: str) -> bool:
        """Note that the session was denied for drift; false where that was noted before."""
        return self._set_latch(session_id, moment(self._clock()), sessions.c.latched_at.is_(None))

    def clear_latch(self, session_id: str) -> None:
        """Forget that the session was denied for drift."""
        self._set_latch(session_id, None, sessions.c.latched_at.is_not(None))

    def forget(self) -> int:
        """Delete what ended some time ago and is of no further use; how many rows."""
        before = moment(self._clock()) - KEPT_AFTER_EXPIRY
        over = and_(sessions.c.expires_at < before, sessions.c.ended_at.is_not(None))
        with transaction(self._engine) as connection:
            return connection.execute(delete(sessions).where(over)).rowcount

    def _live(self) -> ColumnElement[bool]:
        now = moment(self._clock())
        return and_(sessions.c.revoked_at.is_(None), sessions.c.expires_at > now)

    def _may_be(self, connection: Connection, session: SessionRecord) -> bool:
        role = select(roles.c.id).where(
            roles.c.id == session.role_id, roles.c.suspended_reason.is_(None)
        )
        needed = [role]
        if session.api_key_id is not None:
            key = api_keys.c.id == session.api_key_id
            needed.append(select(api_keys.c.id).where(key, api_keys.c.revoked_at.is_(None)))
        if session.parent_id is not None:
            needed.append(select(sessions.c.id).where(_is(session.parent_id), self._live()))
        return all(
            connection.execute(query.with_for_update(read=True)).one_or_none() is not None
            for query in needed
        )

    def _revoke(self, connection: Connection, chosen: ColumnElement[bool], reason: str) -> int:
        """Mark what is chosen, then what it spawned, until nothing unmarked is left.

        To mark a session waits for a child that is being made; the next round finds that child.
        """
        values = {"revoked_at": moment(self._clock()), "revoked_reason": reason}
        tree = select(sessions.c.id).where(chosen).cte("tree", recursive=True)
        spawned = select(sessions.c.id).join(tree, sessions.c.parent_id == tree.c.id)
        whole = select(tree.union(spawned).c.id)
        mark = update(sessions).where(self._live())
        ended = connection.execute(mark.where(chosen).values(values)).rowcount
        # By RETURNING, since SQLite's driver does not count the rows of a statement with a CTE.
        more = mark.where(sessions.c.id.in_(whole)).values(values).returning(sessions.c.id)
        while found := connection.execute(more).all():
            ended += len(found)
        return ended

    def _set_latch(self, session_id: str, at: datetime | None, unless: ColumnElement[bool]) -> bool:
        change = update(sessions).where(_is(session_id), unless).values(latched_at=at)
        with transaction(self._engine) as connection:
            return connection.execute(change).rowcount > 0


def _is(session_id: str) -> ColumnElement[bool]:
    return sessions.c.id == session_id.lower()


def _values(session: SessionRecord) -> dict[str, Any]:
    return {
        "id": session.id,
        "role_id": session.role_id,
        "role_revision": session.role_revision,
        "api_key_id": session.api_key_id,
        "parent_id": session.parent_id,
        "created_at": session.created_at,
        "expires_at": session.expires_at,
        "claims": dict(session.claims),
        "baseline_id": session.baseline_id,
    }


def _record(row: Row[Any]) -> SessionRecord:
    return SessionRecord(
        id=row.id,
        role_id=row.role_id,
        role_revision=row.role_revision,
        api_key_id=row.api_key_id,
        parent_id=row.parent_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        claims=row.claims,
        baseline_id=row.baseline_id,
        revoked_at=row.revoked_at,
        revoked_reason=row.revoked_reason,
        latched_at=row.latched_at,
    )
