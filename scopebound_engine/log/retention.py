"""What of the decision log is old enough to be forgotten, and what depends on it.

Records go by whole days (UTC, by the clock of their node), once a day is out of retention as a
whole. Each run forgets one day at most: a clock that leaps ahead must not take the log with it.
Segments of the journal go when they are in the database too, bundles' bytes when no record that is
left may name them.
"""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, Table, delete, func, select, text

from scopebound_engine.database import partitions
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.log_tables import (
    HOUR_US,
    MINUTE_US,
    bundle_uses,
    call_counts,
    decisions,
    denied_tools,
)
from scopebound_engine.database.partitions import DAY_US
from scopebound_engine.errors import JournalError
from scopebound_engine.log import cursors, segments
from scopebound_engine.log.pace import Pace
from scopebound_engine.times import moment

# Analytics look back a week, and part of an hour more; see `log/spans.py`.
MINUTES_KEPT_US: Final = 8 * DAY_US
_MOST_ROWS: Final = 2_000
_LOCK: Final = "log retention"
# Rows of counts by hour or minute that go at once, but for their tools.
_SPANS: Final = 60

_DELETE: Final = text(
    "DELETE FROM decisions WHERE rowid IN "
    "(SELECT rowid FROM decisions WHERE at_us < :before ORDER BY at_us LIMIT :most)"
)


class Retention:
    """Forgets on one node; nodes on one database may do so at once.

    Every method raises DatabaseUnavailableError.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        node: str,
        *,
        days: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`folder` is the journal's."""
        self._engine, self._folder, self._node = engine, folder, node
        self._kept_us, self._clock = days * DAY_US, clock
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._pace = Pace(engine, _MOST_ROWS)

    def forget_records(self, seconds: float = 20.0) -> None:
        """Forget the eldest day, if it is old enough; on SQLite as far as it goes in this time."""
        if not self._is_sqlite:
            with transaction(self._engine, lock=_LOCK) as connection:
                eldest = min(partitions.days(connection), default=None)
                if eldest is not None and self._is_over(eldest, self._kept_since(connection)):
                    partitions.drop(connection, eldest)
            return
        with reading(self._engine) as connection:
            eldest_us, since = _eldest(connection), self._kept_since(connection)
        ends = time.monotonic() + seconds
        if eldest_us is not None and self._is_over(eldest_us // DAY_US, since):
            before = (eldest_us // DAY_US + 1) * DAY_US
            while self._delete(before) and time.monotonic() < ends:
                self._pace.pause()

    def forget_counts(self) -> None:
        """Forget what is counted by minute after eight days, by hour as long as the records."""
        with reading(self._engine) as connection:
            since = self._kept_since(connection)
        week = since + self._kept_us - MINUTES_KEPT_US
        for table in (call_counts, denied_tools):
            for span_us, before in ((MINUTE_US, week), (HOUR_US, since)):
                while self._forget_spans(table, span_us, before):
                    self._pace.pause()

    def delete_segments(self) -> None:
        """Delete those of the eldest day that are in the database, if it is old enough.

        The age of a segment is that of its last line. Raises JournalError.
        """
        with reading(self._engine) as connection:
            shipped = cursors.load(connection, self._node).segment
            since = self._kept_since(connection)
        try:
            files = [segments.path(self._folder, one) for one in segments.listing(self._folder)]
            times = {
                file: file.stat().st_mtime_ns // 1_000
                for file in files
                if file < segments.path(self._folder, shipped)
            }
            eldest = min(times.values(), default=since) // DAY_US
            for file, written_us in times.items():
                if written_us // DAY_US == eldest and self._is_over(eldest, since):
                    file.unlink()
        except OSError as error:
            raise JournalError(
                f"old segments of the decision log in {self._folder} cannot be deleted: "
                f"{error.strerror}; give this user the right to"
            ) from error

    def let_go(self, bundles: Callable[[datetime], object]) -> None:
        """Have `bundles` forget the bytes that no record has named since a moment."""
        with reading(self._engine) as connection:
            since, eldest_us = self._kept_since(connection), _eldest(connection)
        before = min(since, since if eldest_us is None else eldest_us)
        bundles(moment(before / 1_000_000))
        with transaction(self._engine, lock=_LOCK) as connection:
            connection.execute(delete(bundle_uses).where(bundle_uses.c.last_us < before))

    def _kept_since(self, connection: Connection) -> int:
        """Since when records are kept, by whichever clock is behind: ours or the database's."""
        now_us = int(self._clock() * 1_000_000)
        if not self._is_sqlite:
            theirs = connection.execute(text("SELECT scopebound_clock_us()")).scalar_one()
            now_us = min(now_us, theirs)
        return now_us - self._kept_us

    def _is_over(self, day: int, since: int) -> bool:
        return (day + 1) * DAY_US <= since

    def _delete(self, before: int) -> int:
        with transaction(self._engine) as connection:
            began = time.monotonic()
            chosen = {"before": before, "most": self._pace.rows}
            count = connection.execute(_DELETE, chosen).rowcount
        self._pace.took(time.monotonic() - began)
        return count

    def _forget_spans(self, table: Table, span_us: int, before: int) -> bool:
        """Forget the first ones of a kind, not all at once; whether there were some."""
        of_kind = table.c.span_us == span_us
        with transaction(self._engine, lock=_LOCK) as connection:
            first = connection.execute(select(func.min(table.c.from_us)).where(of_kind)).scalar()
            if first is None or first + span_us > before:
                return False
            upto = min(first + _SPANS * span_us, before - span_us + 1)
            connection.execute(delete(table).where(of_kind, table.c.from_us < upto))
            return True


def _eldest(connection: Connection) -> int | None:
    return connection.execute(select(func.min(decisions.c.at_us))).scalar()
