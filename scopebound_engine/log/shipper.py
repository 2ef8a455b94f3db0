"""Copies a node's journal into the database: every record once, in order, whatever is killed.

A batch is stored in one transaction with the cursor that says how far the journal is stored, and
only while that cursor is where it was read: of two that ship the same, one stores nothing. Before
that the journal's lines are synced to disk, so that the database never knows of a record that a
power failure takes from the journal.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import IntegrityError

from scopebound_engine.database import bulk, partitions
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.log_tables import decisions
from scopebound_engine.errors import JournalError
from scopebound_engine.log import batches, counts, cursors, segments
from scopebound_engine.log.batches import Batch
from scopebound_engine.log.cursors import Cursor
from scopebound_engine.log.entries import Entry, Key
from scopebound_engine.log.pace import Pace

_MOST_PROBLEMS: Final = 20

# Sees a batch's new entries inside the transaction that stores them.
Sink = Callable[[Connection, Sequence[Entry]], None]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Lag:
    """What of the journal is not in the database: lines, and the age of the first in seconds."""

    lines: int
    seconds: float


class Shipper:
    """Ships the journal of one node; used by one thread at a time."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        node: str,
        sinks: Sequence[Sink] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`folder` is the journal's. Where a sink raises, nothing of the batch is stored."""
        self._engine, self._folder, self._node = engine, folder, node
        self._sinks, self._clock = tuple(sinks), clock
        self._pace = Pace(engine, batches.MOST_LINES)
        self._has_more = False
        self._days: set[int] = set()
        self._used: dict[str, int] = {}
        self._problems: deque[str] = deque(maxlen=_MOST_PROBLEMS)

    @property
    def problems(self) -> tuple[str, ...]:
        """What was found wrong with the journal since the start: the last sentences."""
        return tuple(self._problems)

    def run(self, seconds: float = 5.0) -> None:
        """Ship until all is shipped that was there, or for so long. Raises as `ship` does.

        Not what comes meanwhile: a transaction of a few lines costs as much as one of hundreds.
        """
        ends = time.monotonic() + seconds
        while self.ship() and self._has_more and time.monotonic() < ends:
            self._pace.pause()

    def ship(self) -> bool:
        """Ship the next batch; False where there is none, or another process was faster.

        Raises JournalError when the journal cannot be read, DatabaseUnavailableError.
        """
        old = self.cursor()
        batch = self._read(old)
        self._has_more = batch.is_full
        self._note(batch.problems)
        if batch.cursor == old:
            return False
        try:
            return self._store(old, batch)
        except IntegrityError:
            # Some of it is there already, or a day is not there any more.
            self._days.clear()
            return self._store(old, batch, is_new=False)

    def cursor(self) -> Cursor:
        """How far the journal is shipped. Raises DatabaseUnavailableError."""
        with reading(self._engine) as connection:
            return cursors.load(connection, self._node)

    def lag(self) -> Lag:
        """How far the database is behind. Raises JournalError, DatabaseUnavailableError."""
        cursor = self.cursor()
        first = self._read(cursor, most=1).entries
        if not first:
            return Lag(0, 0.0)
        try:
            last = batches.last_number(self._folder)
        except OSError as error:
            raise self._unreadable(error) from error
        age = self._clock() - first[0].row.at_us / 1_000_000
        return Lag(max(1, last - cursor.seq), max(0.0, age))

    def _read(self, cursor: Cursor, most: int | None = None) -> Batch:
        try:
            return batches.read(self._folder, self._node, cursor, most or self._pace.rows)
        except OSError as error:
            raise self._unreadable(error) from error

    def _store(self, old: Cursor, batch: Batch, *, is_new: bool = True) -> bool:
        self._make_durable(batch)
        self._make_days(batch)
        used = {
            checksum: last_us
            for checksum, last_us in counts.uses(batch.entries).items()
            if self._used.get(checksum, 0) < last_us
        }
        with transaction(self._engine) as connection:
            began = time.monotonic()
            if not cursors.advance(connection, self._node, old, batch.cursor):
                return False
            entries = batch.entries if is_new else _unknown(connection, batch.entries)
            bulk.insert(connection, decisions, [entry.row for entry in entries])
            counts.add(connection, entries)
            for sink in self._sinks:
                sink(connection, entries)
            # Last: all nodes change the same rows.
            counts.note_uses(connection, used)
        self._pace.took(time.monotonic() - began)
        self._used |= used
        return True

    def _make_durable(self, batch: Batch) -> None:
        for segment in batch.segments:
            try:
                descriptor = os.open(segments.path(self._folder, segment), os.O_RDONLY)
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise self._unreadable(error) from error

    def _make_days(self, batch: Batch) -> None:
        days = {entry.row.at_us // partitions.DAY_US for entry in batch.entries}
        if self._engine.dialect.name == "sqlite" or days <= self._days:
            return
        with transaction(self._engine, lock="log days") as connection:
            self._days = partitions.days(connection)
            for day in sorted(days - self._days):
                partitions.make(connection, day)
        self._days |= days

    def _note(self, problems: Sequence[str]) -> None:
        for problem in problems:
            if problem not in self._problems:
                log.error("the decision log is damaged", reason=problem)
                self._problems.append(problem)

    def _unreadable(self, error: OSError) -> JournalError:
        return JournalError(
            f"the decision log in {self._folder} cannot be read: {error.strerror}; "
            "look at the disk, and give this user the right to read there"
        )


def _unknown(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    """Those that are not in the database, each once."""
    by_key: dict[Key, Entry] = {}
    for entry in entries:
        by_key.setdefault(entry.row.key, entry)
    times, nodes, numbers = zip(*by_key, strict=True) if by_key else ((0,), (), (0,))
    table = decisions.c
    known = select(table.at_us, table.node, table.seq).where(
        table.at_us.between(min(times), max(times)),
        table.seq.between(min(numbers), max(numbers)),
        table.node.in_(set(nodes)),
    )
    for at_us, node, seq in connection.execute(known):
        by_key.pop((at_us, node, seq), None)
    return list(by_key.values())
