"""Shipping: every line once and in order, whatever comes between."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, select

from scopebound_engine.database.engine import open_database
from scopebound_engine.database.log_tables import HOUR_US, MINUTE_US, call_counts, decisions
from scopebound_engine.log import segments
from scopebound_engine.log.cursors import Cursor
from scopebound_engine.log.entries import Entry
from scopebound_engine.log.journal import Journal
from scopebound_engine.log.shipper import Lag, Shipper
from scopebound_engine.strict_json import dumps
from tests.journals import NODE, NOW_US, Written, denied, record
from tests.log.shipping import counted, stored


def test_every_line_is_stored_once_and_exactly(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(*(record(number, note='é \\ \t "\n\u2028 %s :x ?') for number in range(500)))
    shipper.run()
    assert stored(database) == journal.texts()
    assert not shipper.ship()
    journal.append(record(500))
    assert shipper.ship()
    assert not shipper.ship()
    assert stored(database) == journal.texts()
    assert shipper.problems == ()


def test_a_torn_line_is_shipped_once_it_is_whole(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(record(1))
    line = journal.compose(record(2))
    for part in (line[:10], line[10:-1]):
        journal.write(part)
        shipper.run()
        assert stored(database) == journal.texts()[:1]
    journal.write(line[-1:])
    shipper.run()
    assert stored(database) == journal.texts()
    assert shipper.problems == ()


def test_segments_follow_one_another(database: Engine, journal: Written, shipper: Shipper) -> None:
    for number in range(30):
        journal.append(*(record(100 * number + index) for index in range(number % 4)))
        if number % 4:
            journal.rotate()
        if number % 7 == 0:
            shipper.run()
    shipper.run()
    assert stored(database) == journal.texts()
    assert shipper.problems == ()


def test_what_the_journal_writes_is_shipped(database: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    journal, shipper = Journal(folder, NODE, segment_bytes=1 << 16), Shipper(database, folder, NODE)
    for number in range(400):
        journal.append(dumps(record(number)))
        if number % 37 == 0:
            shipper.run()
    shipper.run()
    journal.close()
    assert len(segments.listing(folder)) > 1
    lines = [line.decode() for line, _ in segments.lines(folder, segments.START)]
    assert len(lines) >= 400
    assert stored(database) == lines
    assert shipper.problems == ()


def test_another_process_goes_on_where_one_ended(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    for number in range(5):
        journal.append(*(record(number * 300 + index) for index in range(300)))
        assert Shipper(database, journal.folder, NODE).ship()
    shipper.run()
    assert stored(database) == journal.texts()


class Killed(BaseException):
    """What a sink raises to end a shipper in the middle."""


def test_a_shipper_that_ends_within_a_batch_leaves_nothing_of_it(
    database: Engine, journal: Written
) -> None:
    def die(connection: Connection, entries: Sequence[Entry]) -> None:
        raise Killed

    journal.append(*(denied(number) for number in range(50)))
    with pytest.raises(Killed):
        Shipper(database, journal.folder, NODE, [die]).ship()
    assert stored(database) == []
    assert counted(database, call_counts) == {}
    Shipper(database, journal.folder, NODE).run()
    assert stored(database) == journal.texts()
    assert counted(database, call_counts) == {(HOUR_US, "deny"): 50, (MINUTE_US, "deny"): 50}


def test_sinks_see_each_record_once_with_the_transaction(
    database: Engine, journal: Written
) -> None:
    seen: list[str] = []

    def sink(connection: Connection, entries: Sequence[Entry]) -> None:
        assert len(connection.execute(select(decisions.c.seq)).all()) == len(seen) + len(entries)
        seen.extend(entry.record["call_id"] for entry in entries)

    journal.append(*(record(number) for number in range(450)))
    Shipper(database, journal.folder, NODE, [sink]).run()
    assert seen == [f"call-{number}" for number in range(450)]


def test_of_two_shippers_of_a_node_one_stores_each_batch(
    database: Engine, database_url: str | None, tmp_path: Path, journal: Written
) -> None:
    journal.append(*(record(number) for number in range(3_000)))
    other = open_database(database_url, tmp_path)
    seen: list[int] = []

    def sink(connection: Connection, entries: Sequence[Entry]) -> None:
        seen.extend(entry.row.seq for entry in entries)

    shippers = [Shipper(engine, journal.folder, NODE, [sink]) for engine in (database, other)]
    threads = [threading.Thread(target=shipper.run, args=(30,)) for shipper in shippers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for shipper in shippers:
        shipper.run()
    other.dispose()
    assert stored(database) == journal.texts()
    assert seen == list(range(1, 3_001))


@pytest.mark.parametrize("before", [0, 5])
def test_who_was_overtaken_stores_nothing(
    database: Engine, journal: Written, shipper: Shipper, before: int
) -> None:
    journal.append(*(record(number) for number in range(before)))
    shipper.run()
    journal.append(*(record(number) for number in range(before, 10)))

    class Overtaken(Shipper):
        def cursor(self) -> Cursor:
            found = super().cursor()
            shipper.run()
            return found

    assert not Overtaken(database, journal.folder, NODE).ship()
    assert stored(database) == journal.texts()
    assert counted(database, call_counts)[HOUR_US, "allow"] == 10


def test_nodes_ship_beside_each_other(database: Engine, tmp_path: Path) -> None:
    journals = [Written(tmp_path / name, name) for name in ("a", "b")]
    for journal in journals:
        journal.append(*(denied(number) for number in range(20)))
        Shipper(database, journal.folder, journal.node).run()
    for journal in journals:
        assert stored(database, journal.node) == journal.texts()
    assert counted(database, call_counts)[HOUR_US, "deny"] == 40


def test_the_lag_is_what_the_database_lacks(database: Engine, journal: Written) -> None:
    shipper = Shipper(database, journal.folder, NODE, clock=lambda: NOW_US / 1_000_000 + 100)
    assert shipper.lag() == Lag(0, 0.0)
    journal.append(record(0))
    shipper.run()
    assert shipper.lag() == Lag(0, 0.0)
    journal.append(*(record(number) for number in range(40, 50)))
    assert shipper.lag() == Lag(10, pytest.approx(60.0))
    journal.rotate()
    journal.append(record(50, note="x" * 200_000))
    journal.write(b"torn")
    assert shipper.lag().lines == 11
    shipper.run()
    assert shipper.lag() == Lag(0, 0.0)
