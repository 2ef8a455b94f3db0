"""What is forgotten of the decision log, and what is not."""

import os
import threading
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

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
from scopebound_engine.errors import DatabaseUnavailableError
from scopebound_engine.log import segments
from scopebound_engine.log.retention import Retention
from scopebound_engine.log.shipper import Shipper
from scopebound_engine.log.upkeep import jobs
from scopebound_engine.times import moment
from tests.journals import NODE, NOW_US, Written, denied, record

KEPT_DAYS = 10
TODAY = NOW_US // DAY_US


@pytest.fixture
def retention(database: Engine, journal: Written) -> Retention:
    return at(database, journal, NOW_US)


def at(database: Engine, journal: Written, now_us: int) -> Retention:
    clock = now_us / 1_000_000
    return Retention(database, journal.folder, NODE, days=KEPT_DAYS, clock=lambda: clock)


def of_days(days: Iterable[int], calls: int = 3) -> list[dict[str, object]]:
    """Denied calls, the first and the last ones at the very ends of each day."""
    moments = [(day, index * (DAY_US - 1) // (calls - 1)) for day in days for index in range(calls)]
    return [denied(1, at_us=day * DAY_US + offset) for day, offset in moments]


def days(database: Engine) -> list[int]:
    with reading(database) as connection:
        found = connection.execute(select(decisions.c.at_us)).scalars()
        return sorted({at_us // DAY_US for at_us in found})


def test_a_day_is_forgotten_once_all_of_it_is_old_enough(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    kept = TODAY - KEPT_DAYS
    journal.append(*of_days([kept, kept + 1]))
    shipper.run()
    at(database, journal, (kept + 1 + KEPT_DAYS) * DAY_US - 1).forget_records()
    assert days(database) == [kept, kept + 1]
    at(database, journal, (kept + 1 + KEPT_DAYS) * DAY_US).forget_records()
    assert days(database) == [kept + 1]


def test_days_are_forgotten_one_by_one_the_eldest_first(
    database: Engine, journal: Written, shipper: Shipper, retention: Retention
) -> None:
    gone = [TODAY - KEPT_DAYS - back for back in (400, 30, 2, 1)]
    journal.append(*of_days([TODAY - KEPT_DAYS, TODAY, *gone], calls=100))
    shipper.run()
    for number in range(1, 6):
        retention.forget_records()
        assert days(database) == [*gone[number:], TODAY - KEPT_DAYS, TODAY]
    if database.dialect.name == "postgresql":
        with reading(database) as connection:
            assert partitions.days(connection) == {TODAY - KEPT_DAYS, TODAY}


def test_a_clock_that_leaps_ahead_takes_one_day_and_not_even_that_where_two_are_asked(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    now = int(time.time() * 1_000_000) // DAY_US
    journal.append(*of_days([now - 2, now - 1, now]))
    shipper.run()
    at(database, journal, NOW_US + 100 * 365 * DAY_US).forget_records()
    left = [now - 1, now] if database.dialect.name == "sqlite" else [now - 2, now - 1, now]
    assert days(database) == left


def test_who_reads_the_log_is_not_disturbed(
    database: Engine, journal: Written, shipper: Shipper, retention: Retention
) -> None:
    old = TODAY - KEPT_DAYS - 1
    journal.append(*of_days([old, TODAY]))
    shipper.run()
    with reading(database) as connection:
        assert len(connection.execute(select(decisions.c.seq)).all()) == 6
        if database.dialect.name == "postgresql":
            began = time.monotonic()
            with pytest.raises(DatabaseUnavailableError, match="lock timeout"):
                retention.forget_records()
            assert time.monotonic() - began < 3
        else:
            retention.forget_records()
        assert len(connection.execute(select(decisions.c.seq)).all()) == 6
    retention.forget_records()
    assert days(database) == [TODAY]


def test_nodes_that_forget_at_once_do_not_fail(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    gone = [TODAY - KEPT_DAYS - back for back in range(1, 5)]
    journal.append(*of_days([*gone, TODAY]))
    shipper.run()
    problems: list[BaseException] = []

    def forget() -> None:
        try:
            at(database, journal, NOW_US).forget_records()
        except DatabaseUnavailableError as error:
            problems.append(error)

    threads = [threading.Thread(target=forget) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert TODAY in days(database)
    assert len(days(database)) < 5


def test_counts_by_minute_go_after_eight_days_and_by_hour_with_the_records(
    database: Engine, journal: Written, shipper: Shipper, retention: Retention
) -> None:
    ages_us = [0, 8 * DAY_US - MINUTE_US, 8 * DAY_US + MINUTE_US, 9 * DAY_US]
    ages_us += [(KEPT_DAYS + ahead) * DAY_US + off * HOUR_US for ahead in (0, 3) for off in (-1, 1)]
    journal.append(*(denied(1, at_us=NOW_US - age) for age in ages_us))
    shipper.run()
    retention.forget_counts()
    for table in (call_counts, denied_tools):
        with reading(database) as connection:
            rows = set(map(tuple, connection.execute(select(table.c.span_us, table.c.from_us))))
        assert {from_us for span, from_us in rows if span == MINUTE_US} == {
            (NOW_US - age) // MINUTE_US * MINUTE_US for age in ages_us[:2]
        }
        assert {from_us for span, from_us in rows if span == HOUR_US} == {
            (NOW_US - age) // HOUR_US * HOUR_US for age in ages_us[:5]
        }


def aged(journal: Written, days_ago: float) -> Path:
    """End the segment, whose last line was written so long ago."""
    file = journal.file
    journal.append(record(1))
    journal.rotate()
    written = (NOW_US - int(days_ago * DAY_US)) * 1_000
    os.utime(file, ns=(written, written))
    return file


def test_segments_go_once_they_are_shipped_and_old_enough(
    journal: Written, shipper: Shipper, retention: Retention
) -> None:
    files = [aged(journal, days_ago) for days_ago in (30, 29.9, 20, KEPT_DAYS - 1)]
    retention.delete_segments()
    assert [file.exists() for file in files] == [True] * 4
    shipper.run()
    late = aged(journal, 40)
    expected = [[False, False, True, True], [False, False, False, True]]
    for left in [*expected, expected[-1]]:
        retention.delete_segments()
        assert [file.exists() for file in files] == left
    assert late.exists()


def test_shipping_goes_on_after_segments_were_deleted(
    database: Engine, journal: Written, shipper: Shipper, retention: Retention
) -> None:
    file = aged(journal, 30)
    journal.append(record(2))
    shipper.run()
    retention.delete_segments()
    assert not file.exists()
    journal.append(record(3))
    Shipper(database, journal.folder, NODE).run()
    with reading(database) as connection:
        assert len(connection.execute(select(decisions.c.seq)).all()) == 3
    assert segments.listing(journal.folder) == [2]
    assert shipper.problems == ()


def test_bundles_are_let_go_of_once_no_record_is_left_that_names_them(
    database: Engine, journal: Written, shipper: Shipper, retention: Retention
) -> None:
    eldest, edge = TODAY - KEPT_DAYS - 3, NOW_US - KEPT_DAYS * DAY_US
    asked: list[datetime] = []
    journal.append(*of_days([eldest, TODAY - KEPT_DAYS]))
    journal.append(record(1, bundle={"checksum": "old"}, at_us=edge - 2 * HOUR_US))
    shipper.run()
    retention.let_go(asked.append)
    assert asked == [moment(eldest * DAY_US / 1_000_000)]
    retention.forget_records()
    retention.let_go(asked.append)
    assert asked[1] == moment((TODAY - KEPT_DAYS) * DAY_US / 1_000_000)
    with transaction(database) as connection:
        connection.execute(decisions.delete())
    retention.let_go(asked.append)
    assert asked[2] == moment(edge / 1_000_000)
    with reading(database) as connection:
        assert set(connection.execute(select(bundle_uses.c.checksum)).scalars()) == {"c" * 64}


def test_the_jobs_of_a_node_ship_and_forget(
    database: Engine, journal: Written, shipper: Shipper, retention: Retention
) -> None:
    journal.append(*of_days([TODAY - KEPT_DAYS - 1, TODAY]))
    asked: list[datetime] = []
    for job in jobs(shipper, retention, asked.append):
        job.run()
    assert days(database) == [TODAY]
    assert len(asked) == 1
