"""Shipping: every line once and in order, whatever comes between."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text

from scopebound_engine.database.engine import migrate, open_database, reading, transaction
from scopebound_engine.database.log_tables import (
    HOUR_US,
    MINUTE_US,
    TEXT_LENGTH,
    bundle_uses,
    call_counts,
    decisions,
    denied_tools,
)
from scopebound_engine.errors import DatabaseUnavailableError, JournalError
from scopebound_engine.log import segments
from scopebound_engine.log.cursors import Cursor
from scopebound_engine.log.entries import Entry
from scopebound_engine.log.journal import Journal
from scopebound_engine.log.shipper import Lag, Shipper
from scopebound_engine.strict_json import dumps
from tests.journals import NODE, NOW_US, Written, denied, filled, record
from tests.postgres import PostgresServer


@pytest.fixture
def journal(tmp_path: Path) -> Written:
    return Written(tmp_path / "log")


@pytest.fixture
def shipper(database: Engine, journal: Written) -> Shipper:
    return Shipper(database, journal.folder, NODE)


def stored(database: Engine, node: str = NODE) -> list[str]:
    """The node's lines in the database, in the order of their numbers."""
    query = select(decisions.c.line).where(decisions.c.node == node)
    with reading(database) as connection:
        return list(
            connection.execute(query.order_by(decisions.c.seq, decisions.c.at_us)).scalars()
        )


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


def test_columns_repeat_what_the_line_says(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(denied(1))
    shipper.run()
    with reading(database) as connection:
        row = connection.execute(select(decisions)).one()._asdict()
    assert row == {
        "at_us": NOW_US + 1_000_000,
        "node": NODE,
        "seq": 1,
        "id": "01900000-0000-7000-8000-000000000001",
        "event": "tool_call.deny",
        "decision": "deny",
        "verdict": "deny",
        "deny_code": "TOOL_DENIED",
        "tool_name": "read_invoice",
        "role_id": "role-1",
        "role_name": "clerk",
        "session_id": "session-1",
        "call_id": "call-1",
        "request_id": "request-1",
        "api_key_id": "key-1",
        "bundle_checksum": "c" * 64,
        "line": journal.texts()[0],
    }


def test_an_event_is_found_by_the_role_or_session_it_is_about(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    subjects = [
        {"type": "role", "id": "r", "name": "clerk"},
        {"type": "session", "id": "s"},
        {"type": "bundle", "id": "b"},
    ]
    for number, subject in enumerate(subjects):
        about = {"id": f"{number}", "at_us": NOW_US, "event": "x.changed", "subject": subject}
        journal.append(about)
    shipper.run()
    found = select(decisions.c.role_id, decisions.c.role_name, decisions.c.session_id)
    with reading(database) as connection:
        rows = [tuple(row) for row in connection.execute(found.order_by(decisions.c.seq))]
    assert rows == [("r", "clerk", None), (None, None, "s"), (None, None, None)]


ODD_TEXTS: list[tuple[object, str | None]] = [
    ("x" * 100_000, "x" * TEXT_LENGTH),
    ("\U0001f600" * 300, "\U0001f600" * TEXT_LENGTH),
    ("a\0b", None),
    (["list"], None),
    (7, None),
    ('tab\tquote"back\\slash\\N\\.', 'tab\tquote"back\\slash\\N\\.'),
    ("", ""),
]


@pytest.mark.parametrize("number", range(len(ODD_TEXTS)))
def test_no_text_of_a_caller_keeps_a_record_out(
    database: Engine, journal: Written, shipper: Shipper, number: int
) -> None:
    given, expected = ODD_TEXTS[number]
    journal.append(denied(1, tool_name=given, call_id=given, role=given, session={"id": given}))
    shipper.run()
    assert stored(database) == journal.texts()
    with reading(database) as connection:
        row = connection.execute(select(decisions)).one()
    assert (row.tool_name, row.call_id, row.session_id) == (expected,) * 3


def test_a_lone_surrogate_keeps_no_record_out(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    line = journal.compose(denied(1, tool_name="SURROGATE")).replace(b"SURROGATE", rb"\ud800")
    journal.write(line)
    shipper.run()
    assert stored(database) == [line.decode().rstrip("\n")]


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


def test_a_missing_line_is_named_and_what_follows_is_shipped(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(record(1))
    journal.compose(record(2))
    journal.append(record(3))
    shipper.run()
    assert stored(database) == [journal.texts()[0], journal.texts()[2]]
    assert any("line 3 stands where line 2 was due" in problem for problem in shipper.problems)


def test_a_line_of_another_node_is_named_and_shipped_as_its_own(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(record(1))
    journal.node = "stranger"
    journal.append(record(2))
    journal.node = NODE
    journal.append(record(3))
    shipper.run()
    assert stored(database) == [journal.texts()[0], journal.texts()[2]]
    assert stored(database, "stranger") == [journal.texts()[1]]
    assert any("is of the node stranger" in problem for problem in shipper.problems)


NO_LINES = [
    b"{}",
    b"\xff\xfe",
    b"\0" * 300,
    b'{"chain":{"node":"\0","prev":"' + b"0" * 64 + b'","seq":2},"record":{"at_us":1}}',
    b'{"chain":{"node":"n","prev":"' + b"0" * 64 + b'","seq":2},"record":{"event":"x"}}',
    b'{"chain":{"node":"n","prev":"' + b"0" * 64 + b'","seq":2},"record":{"at_us":-1,"event":""}}',
    b'{"chain":{"node":"n","prev":"'
    + b"0" * 64
    + b'","seq":9999999999999999999},"record":{"at_us":1,"event":"x"}}',
    b'{"chain":{"node":"n","prev":"'
    + b"0" * 64
    + b'","seq":2},"record":{"at_us":'
    + b"9" * 5000
    + b',"event":"x"}}',
    b'{"chain":{"node":"n","prev":"'
    + b"0" * 64
    + b'","seq":2},"record":{"at_us":1,"event":"x","a":'
    + b"[" * 90_000
    + b"]" * 90_000
    + b"}}",
    b'{"chain":{"node":"'
    + b"n" * 9_000
    + b'","prev":"'
    + b"0" * 64
    + b'","seq":2},"record":{"at_us":1,"event":"x"}}',
]


@pytest.mark.parametrize("number", range(len(NO_LINES)))
def test_bytes_that_are_no_line_are_named_and_what_follows_is_shipped(
    database: Engine, journal: Written, shipper: Shipper, number: int
) -> None:
    journal.append(record(1))
    journal.compose(record(2))
    journal.write(NO_LINES[number] + b"\n")
    journal.append(record(3))
    shipper.run()
    assert stored(database) == [journal.texts()[0], journal.texts()[2]]
    assert any("what should be line 2 is not in" in problem for problem in shipper.problems)


def test_a_missing_segment_is_named_and_the_next_one_is_shipped(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(record(1))
    journal.rotate()
    shipper.run()
    journal.append(record(2))
    gone = journal.file
    journal.rotate()
    journal.append(record(3))
    gone.unlink()
    shipper.run()
    assert stored(database) == [journal.texts()[0], journal.texts()[2]]
    assert any("line 3 stands where line 2 was due" in problem for problem in shipper.problems)


@pytest.mark.parametrize("forged", [1, 2, 4, 5, 10**17])
def test_forged_numbers_lead_nowhere_else(
    database: Engine, journal: Written, shipper: Shipper, forged: int
) -> None:
    for number in (1, 3, 5):
        journal.append(record(number), record(number + 1))
        journal.rotate()
    other = f'"seq":{forged}}}'.encode()
    file = segments.path(journal.folder, 3)
    file.write_bytes(file.read_bytes().replace(b'"seq":4}', other))
    journal.lines[3] = journal.lines[3].replace(b'"seq":4}', other)
    for _ in range(8):
        Shipper(database, journal.folder, NODE).ship()
        journal.append(record(journal.seq + 1))
    shipper.run()
    assert sorted(stored(database)) == sorted(journal.texts())
    assert not shipper.ship()
    assert shipper.lag() == Lag(0, 0.0)


def test_a_segment_that_is_over_before_its_first_line_holds_up_nothing(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(record(1))
    journal.rotate()
    journal.write(b"\n")
    shipper.run()
    assert stored(database) == journal.texts()
    assert not shipper.ship()


def test_a_journal_that_was_put_back_is_read_again_and_only_what_is_new_is_stored(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(*(denied(number) for number in range(100)))
    backup, seq, head = journal.file.read_bytes(), journal.seq, journal.hash
    shipper.run()
    journal.append(*(denied(number) for number in range(100, 150)))
    shipper.run()
    journal.file.write_bytes(backup)
    journal.seq, journal.hash = seq, head
    journal.append(*(denied(number) for number in range(200, 230)))
    shipper.run()
    assert sorted(stored(database)) == sorted(journal.texts())
    assert counted(database, call_counts)[HOUR_US, "deny"] == 180
    assert len([one for one in shipper.problems if "not in" in one]) == 1
    journal.append(denied(230))
    shipper.run()
    assert sorted(stored(database)) == sorted(journal.texts())


def test_a_journal_that_is_gone_is_named_once(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(record(1))
    shipper.run()
    journal.file.unlink()
    for _ in range(3):
        assert not shipper.ship()
    assert len(shipper.problems) == 1
    again = filled(journal.folder, [record(2)])
    shipper.run()
    assert stored(database) == [*journal.texts(), *again.texts()]


def test_a_journal_that_cannot_be_read_is_said_to_be(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.file.mkdir()
    with pytest.raises(JournalError, match="cannot be read"):
        shipper.ship()


def test_a_line_twice_in_the_journal_is_stored_once(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(denied(1), denied(2))
    journal.write(journal.lines[0] + b"\n")
    shipper.run()
    assert stored(database) == journal.texts()
    assert counted(database, call_counts)[HOUR_US, "deny"] == 2
    assert any("line 1 stands where line 3 was due" in one for one in shipper.problems)


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


def counted(database: Engine, table: Any) -> dict[tuple[int, str], int]:
    """Calls by span and by verdict or tool."""
    of = table.c.verdict if table is call_counts else table.c.tool_name
    found: dict[tuple[int, str], int] = {}
    with reading(database) as connection:
        for row in connection.execute(select(table.c.span_us, of, table.c.from_us, table.c.calls)):
            assert row[2] % row[0] == 0
            found[row[0], row[1]] = found.get((row[0], row[1]), 0) + row[3]
    return found


def test_calls_are_counted_and_nothing_else(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(
        record(1),
        record(2, event="mcp_tool_call.allow"),
        denied(3),
        denied(4, tool_name="pay"),
        denied(5, tool_name=None, event="mcp_tool_call.deny"),
        record(6, event="tool_call.replay"),
        denied(7, event="mcp_tool_call.replay"),
        denied(8, event="delegation.deny"),
        record(9, event="delegation.allow"),
        record(10, event="session.provisioned"),
        record(11, event="request.refused"),
        record(12, event="answer.late"),
    )
    shipper.run()
    spans = (HOUR_US, MINUTE_US)
    assert counted(database, call_counts) == {
        (span, verdict): calls for span in spans for verdict, calls in (("allow", 2), ("deny", 3))
    }
    assert counted(database, denied_tools) == {
        (span, tool): 1 for span in spans for tool in ("read_invoice", "pay")
    }


def test_the_last_use_of_a_bundle_is_known(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    old = {"checksum": "old"}
    journal.append(record(1, bundle=old), record(2), record(30 * 3600, bundle=None))
    shipper.run()
    journal.append(record(2 * 3600))
    shipper.run()
    journal.append(record(3, bundle=old))
    shipper.run()
    with reading(database) as connection:
        uses = dict(map(tuple, connection.execute(select(bundle_uses))))
    ends = (NOW_US // HOUR_US + 1) * HOUR_US
    assert uses == {"old": ends, "c" * 64: ends + 2 * HOUR_US}


def test_records_of_any_day_have_their_place(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    for at_us in (0, NOW_US, NOW_US - 400 * 86_400_000_000, NOW_US + 5 * 86_400_000_000):
        journal.append(record(1, at_us=at_us))
    shipper.run()
    assert stored(database) == journal.texts()


def test_a_day_that_was_dropped_is_made_anew(
    database: Engine, journal: Written, shipper: Shipper
) -> None:
    journal.append(record(1))
    shipper.run()
    with transaction(database) as connection:
        if database.dialect.name == "postgresql":
            day = NOW_US // 86_400_000_000
            connection.execute(text(f"DROP TABLE decisions_day_{day}"))
        else:
            connection.execute(decisions.delete())
    journal.append(record(2))
    shipper.run()
    assert stored(database) == journal.texts()[1:]


def test_what_came_during_an_outage_is_caught_up_with(
    own_postgres: PostgresServer, tmp_path: Path, journal: Written
) -> None:
    database = open_database(own_postgres.url(), tmp_path)
    migrate(database)
    shipper = Shipper(database, journal.folder, NODE)
    journal.append(*(record(number) for number in range(100)))
    shipper.run()
    own_postgres.stop()
    journal.append(*(record(number) for number in range(100, 5_000)))
    with pytest.raises(DatabaseUnavailableError):
        shipper.ship()
    own_postgres.start()
    shipper.run()
    assert stored(database) == journal.texts()
    database.dispose()


def test_a_server_that_falls_silent_within_a_copy_is_left(
    own_postgres: PostgresServer, tmp_path: Path, journal: Written
) -> None:
    database = open_database(own_postgres.url(), tmp_path)
    migrate(database)
    journal.append(*(record(number, note="x" * 2_000) for number in range(1_900)))

    def kill(connection: Connection, entries: Sequence[Entry]) -> None:
        own_postgres.kill()

    with pytest.raises(DatabaseUnavailableError):
        Shipper(database, journal.folder, NODE, [kill]).ship()
    own_postgres.start()
    Shipper(database, journal.folder, NODE).run()
    assert stored(database) == journal.texts()
    database.dispose()
