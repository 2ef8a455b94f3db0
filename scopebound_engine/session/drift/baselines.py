"""The tables of baselines and of what they are fitted from: the calls of sessions that have ended.

A baseline is never changed. A session pins the newest one of its role when it is provisioned, for
a test against a baseline that moved in mid-session would not hold what it promises.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Engine, Row, and_, delete, insert, select, update

from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import baselines, ended_sessions, sessions
from scopebound_engine.errors import NotFoundError
from scopebound_engine.session.drift.evidence import Baseline
from scopebound_engine.session.drift.likelihood import fit
from scopebound_engine.times import moment

# A baseline looks back on so many sessions of its role; older ones are forgotten.
REMEMBERED_SESSIONS: Final = 1_000
# Calls that are under way when a session expires are still counted.
_SETTLED_AFTER: Final = timedelta(seconds=10)
_ENDED_AT_ONCE: Final = 500
_CACHED: Final = 4_096
# One order, so that a fit without news comes out the same to its last bit.
_NEWEST_FIRST: Final = (ended_sessions.c.ended_at.desc(), ended_sessions.c.session_id)

CountsOf = Callable[[Sequence[str]], Mapping[str, Sequence[int]]]


@dataclass(frozen=True, slots=True)
class StoredBaseline:
    """A baseline of a role, and when it was fitted."""

    id: int
    role_id: str
    fitted_at: datetime
    baseline: Baseline


class Baselines:
    """Baselines in the database. Every method raises DatabaseUnavailableError when it is away."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine, self._clock = engine, clock
        self._known = lru_cache(_CACHED)(self._read)

    def get(self, baseline_id: int) -> Baseline:
        """The baseline of this id; read once, as it never changes. Raises NotFoundError."""
        return self._known(baseline_id)

    def newest(self, role_id: str) -> StoredBaseline | None:
        """The baseline that new sessions of the role pin, if it has one."""
        of_role = select(baselines).where(baselines.c.role_id == role_id)
        with reading(self._engine) as connection:
            row = connection.execute(of_role.order_by(baselines.c.id.desc()).limit(1)).first()
        return None if row is None else _stored(row)

    def count_ended(self, role_id: str) -> int:
        """How many sessions of the role a fit would look at."""
        return len(self._ended(role_id))

    def fit(self, role_id: str, tools: Sequence[str]) -> StoredBaseline | None:
        """Fit the role's baseline anew; None where too few of its sessions have ended.

        Where it comes out as before nothing is stored, and the former is answered.
        """
        fitted = fit(tools, self._ended(role_id))
        if fitted is None:
            return None
        newest = self.newest(role_id)
        if newest is not None and newest.baseline == fitted:
            return newest
        row = {
            "role_id": role_id,
            "fitted_at": moment(self._clock()),
            "document": asdict(fitted),
        }
        with transaction(self._engine) as connection:
            added = connection.execute(insert(baselines).values(row).returning(baselines))
            return _stored(added.one())

    def take_over(self, counts_of: CountsOf) -> list[str]:
        """Keep what sessions did that have expired; the ids of those that are done with.

        `counts_of` gives the allowed calls of sessions by their token's tools, others at last. Of
        sessions that were revoked or found drifting nothing is learned.
        """
        now = moment(self._clock())
        over = and_(sessions.c.ended_at.is_(None), sessions.c.expires_at < now - _SETTLED_AFTER)
        chosen = select(sessions).where(over).order_by(sessions.c.expires_at).limit(_ENDED_AT_ONCE)
        with transaction(self._engine, lock="ended sessions") as connection:
            ended = connection.execute(chosen).all()
            ids = [row.id for row in ended]
            counted = counts_of(ids) if ids else {}
            kept = [
                {"session_id": row.id, "role_id": row.role_id, "ended_at": now, "counts": counts}
                for row in ended
                if row.revoked_at is None and row.latched_at is None
                if (counts := _named(row.claims, counted.get(row.id, ())))
            ]
            if kept:
                connection.execute(insert(ended_sessions), kept)
            for role_id in {row["role_id"] for row in kept}:
                connection.execute(_beyond_remembered(role_id))
            connection.execute(update(sessions).where(sessions.c.id.in_(ids)).values(ended_at=now))
        return ids

    def _ended(self, role_id: str) -> list[Mapping[str, int]]:
        of_role = select(ended_sessions.c.counts).where(ended_sessions.c.role_id == role_id)
        newest = of_role.order_by(*_NEWEST_FIRST).limit(REMEMBERED_SESSIONS)
        with reading(self._engine) as connection:
            return list(connection.execute(newest).scalars())

    def _read(self, baseline_id: int) -> Baseline:
        with reading(self._engine) as connection:
            row = connection.execute(
                select(baselines).where(baselines.c.id == baseline_id)
            ).one_or_none()
        if row is None:
            raise NotFoundError(f"the baseline {baseline_id} is gone from the database")
        return _stored(row).baseline


def _beyond_remembered(role_id: str) -> Any:
    of_role = ended_sessions.c.role_id == role_id
    newest = select(ended_sessions.c.session_id).where(of_role)
    newest = newest.order_by(*_NEWEST_FIRST).limit(REMEMBERED_SESSIONS)
    return delete(ended_sessions).where(of_role, ended_sessions.c.session_id.not_in(newest))


def _named(claims: Mapping[str, Any], counts: Iterable[int]) -> dict[str, int]:
    """Calls by tool. What the token does not name is not of the role, and not learned."""
    return {
        tool: calls for tool, calls in zip(claims["allowed_tools"], counts, strict=False) if calls
    }


def _stored(row: Row[Any]) -> StoredBaseline:
    document = dict(row.document)
    for field in ("tools", "frequencies"):
        document[field] = tuple(document[field])
    return StoredBaseline(row.id, row.role_id, row.fitted_at, Baseline(**document))
