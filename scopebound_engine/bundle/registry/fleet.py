"""What runs where: what workers are asked to prepare, and what each says of itself.

How long a worker has been silent and whether a lease is over is judged by the database's clock, the
only one that all nodes share. SQLite has none: there it is the host's.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Engine, Row, Select, delete, func, insert, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

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
        """What is in force and what is proposed: one statement, for workers look all the time."""
        with reading(self._engine) as connection:
            row = connection.execute(_PULSE).one()
        proposal = None if row.id is None else Proposal(row.id, row.bundle_id)
        return Pulse(row.generation or 0, proposal)

    def clock_us(self) -> int | None:
        """What the database's clock says, in epoch microseconds; None where it has none."""
        if self._engine.dialect.name != "postgresql":
            return None
        with reading(self._engine) as connection:
            return connection.execute(select(_Now())).scalar_one()

    def report(self, report: WorkerReport) -> None:
        """Replace what the worker said before. Workers that were silent for long are forgotten."""
        row = asdict(report) | {"seen_us": _Now()}
        del row["silent_seconds"]
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        said = dialect.insert(workers).values(row)
        with transaction(self._engine) as connection:
            connection.execute(said.on_conflict_do_update(index_elements=["worker_id"], set_=row))
            connection.execute(_FORGET)

    def leave(self, worker_id: str) -> None:
        """Forget a worker that ends."""
        with transaction(self._engine) as connection:
            connection.execute(delete(workers).where(workers.c.worker_id == worker_id))

    def workers(self) -> list[WorkerReport]:
        """The last report of each worker, by node and process id."""
        with reading(self._engine) as connection:
            return [_report(row) for row in connection.execute(_REPORTS)]

    def propose(self, bundle_id: str, *, lease_seconds: float) -> Proposal | None:
        """Ask all workers to prepare a stored bundle; the proposal ends with its lease.

        None while another's is open: ask again.
        """
        # Those who wait for their turn ask often, and need not hold up who writes.
        if self.look().proposal is not None:
            return None
        ends_us = _Now() + round(lease_seconds * _SECOND)
        row = {"bundle_id": bundle_id, "opened_us": _Now(), "lease_ends_us": ends_us}
        with transaction(self._engine, lock="proposals") as connection:
            connection.execute(delete(proposals).where(~_IS_OPEN))
            if connection.execute(select(proposals.c.id)).first() is not None:
                return None
            added = insert(proposals).values(row).returning(proposals.c.id)
            return Proposal(connection.execute(added).scalar_one(), bundle_id)

    def withdraw(self, proposal_id: int) -> None:
        """End a proposal before its lease does; one that has ended stays so."""
        with transaction(self._engine, lock="proposals") as connection:
            connection.execute(delete(proposals).where(proposals.c.id == proposal_id))


class _Now(FunctionElement[int]):
    """The database's clock, in microseconds since the epoch."""

    type = BigInteger()
    inherit_cache = True


@compiles(_Now, "postgresql")
def _of_server(*_: Any, **__: Any) -> str:
    return "scopebound_clock_us()"


@compiles(_Now, "sqlite")
def _of_host(*_: Any, **__: Any) -> str:
    # Days, to the millisecond; 2440587.5 is the Julian day of the epoch.
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


# A report from the future is one from before the clock was set back.
_SILENT_US: Final = func.abs(_Now() - workers.c.seen_us, type_=BigInteger)
# Both ends, so that a clock that is set back makes no lease longer.
_IS_OPEN: Final = _Now().between(proposals.c.opened_us, proposals.c.lease_ends_us)

_PULSE: Final = select(
    select(func.max(activations.c.generation)).scalar_subquery().label("generation"),
    proposals.c.id,
    proposals.c.bundle_id,
).select_from(select(true().label("always")).subquery().outerjoin(proposals, _IS_OPEN))

_REPORTS: Final[Select[Any]] = (
    select(
        *(column for column in workers.c if column is not workers.c.seen_us),
        _SILENT_US.label("silent_us"),
    )
    .where(_SILENT_US < FORGOTTEN_SECONDS * _SECOND)
    .order_by(workers.c.node_id, workers.c.pid)
)

# Two workers that wake from a long sleep at once would wait for each other, if none were skipped.
_FORGET: Final = delete(workers).where(
    workers.c.worker_id.in_(
        select(workers.c.worker_id)
        .where(_SILENT_US >= FORGOTTEN_SECONDS * _SECOND)
        .with_for_update(skip_locked=True)
    )
)


def _report(row: Row[Any]) -> WorkerReport:
    fields = row._asdict()
    silent_seconds = fields.pop("silent_us") / _SECOND
    return WorkerReport(**fields, silent_seconds=silent_seconds)
