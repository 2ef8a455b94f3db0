"""What runs where: what workers are asked to prepare, and what each says of itself.

How long a worker has been silent and whether a lease is over is judged by the database's clock, the
only one that all nodes share. SQLite has none: there it is the host's.
"""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Engine,
    delete,
    func,
    insert,
    literal,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite

from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import activation_proposals as proposals
from scopebound_engine.database.schema import activations, workers

FORGOTTEN_SECONDS: Final = 60
_SECOND: Final = 1_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Proposal:
    """A bundle that all workers shall prepare. Later proposals have greater ids."""

    id: int
    bundle_id: str


@dataclass(frozen=True, slots=True)
class Pulse:
    """The generation in force, 0 before the first, and the proposal that is open."""

    generation: int
    proposal: Proposal | None


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker runs: `generation` 0 is nothing.

    `prepared` and `failed` are ids of proposals, 0 for none: the one whose bundle it could run at
    once, the one whose bundle it cannot run. `error` is its last. `silent_seconds`, since it last
    reported, is of those that were read.
    """

    worker_id: str
    node_id: str
    pid: int
    generation: int = 0
    checksum: str | None = None
    prepared: int = 0
    failed: int = 0
    error: str = ""
    error_at: datetime | None = None
    loaded_at: datetime | None = None
    silent_seconds: float = 0.0


class Fleet:
    """The workers of all nodes. Every method raises DatabaseUnavailableError when it is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def look(self) -> Pulse:
        """What is in force and what is proposed: one statement, each worker looks all the time."""
        in_force = select(func.max(activations.c.generation)).scalar_subquery()
        always = select(true().label("row")).subquery()
        query = select(in_force.label("generation"), proposals.c.id, proposals.c.bundle_id)
        with reading(self._engine) as connection:
            row = connection.execute(
                query.select_from(always.outerjoin(proposals, self._is_open()))
            ).one()
        proposal = None if row.id is None else Proposal(row.id, row.bundle_id)
        return Pulse(row.generation or 0, proposal)

    def report(self, report: WorkerReport) -> None:
        """Replace what the worker said before. Workers long silent are forgotten."""
        row = asdict(report) | {"seen_us": self._now()}
        del row["silent_seconds"]
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        upsert = dialect.insert(workers).values(row)
        forgotten = select(workers.c.worker_id).where(self._silent() > FORGOTTEN_SECONDS * _SECOND)
        # Two workers that wake from a long sleep at once would wait for each other's rows.
        forgotten = forgotten.with_for_update(skip_locked=True)
        with transaction(self._engine) as connection:
            connection.execute(upsert.on_conflict_do_update(index_elements=["worker_id"], set_=row))
            connection.execute(delete(workers).where(workers.c.worker_id.in_(forgotten)))

    def leave(self, worker_id: str) -> None:
        """Forget a worker that ends."""
        with transaction(self._engine) as connection:
            connection.execute(delete(workers).where(workers.c.worker_id == worker_id))

    def workers(self) -> list[WorkerReport]:
        """The last report of each worker, by node and process id."""
        silent = self._silent()
        columns = (column for column in workers.c if column is not workers.c.seen_us)
        query = select(*columns, silent.label("silent_us"))
        query = query.where(silent < FORGOTTEN_SECONDS * _SECOND)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(workers.c.node_id, workers.c.pid)).all()
        found = []
        for row in rows:
            fields = row._asdict()
            found.append(WorkerReport(**fields, silent_seconds=fields.pop("silent_us") / _SECOND))
        return found

    def propose(self, bundle_id: str, *, lease_seconds: float) -> Proposal | None:
        """Ask all workers to prepare a stored bundle; the proposal ends with its lease.

        None while another's is open: ask again.
        """
        if self.look().proposal is not None:
            return None
        row = {
            "bundle_id": bundle_id,
            "opened_us": self._now(),
            "lease_ends_us": self._now() + int(lease_seconds * _SECOND),
        }
        with transaction(self._engine, lock="proposals") as connection:
            connection.execute(delete(proposals).where(~self._is_open()))
            if connection.execute(select(proposals.c.id)).first() is not None:
                return None
            added = insert(proposals).values(row).returning(proposals.c.id)
            return Proposal(connection.execute(added).scalar_one(), bundle_id)

    def withdraw(self, proposal_id: int) -> None:
        """End a proposal before its lease does; one that has ended stays so."""
        with transaction(self._engine) as connection:
            connection.execute(delete(proposals).where(proposals.c.id == proposal_id))

    def _now(self) -> ColumnElement[int]:
        if self._engine.dialect.name == "postgresql":
            return func.scopebound_clock_us(type_=BigInteger)
        return literal(time.time_ns() // 1000, BigInteger)

    def _silent(self) -> ColumnElement[int]:
        # A report from the future is one from before the clock was set back.
        return func.abs(self._now() - workers.c.seen_us, type_=BigInteger)

    def _is_open(self) -> ColumnElement[bool]:
        # Both ends, so that a clock that is set back does not lengthen the lease.
        return self._now().between(proposals.c.opened_us, proposals.c.lease_ends_us)
