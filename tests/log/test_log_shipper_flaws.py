"""A journal that is not as it was written is named, and what follows is shipped once."""

import pytest
from sqlalchemy import Engine

from scopebound_engine.database.log_tables import HOUR_US, call_counts
from scopebound_engine.errors import JournalError
from scopebound_engine.log import segments
from scopebound_engine.log.shipper import Lag, Shipper
from tests.journals import NODE, Written, denied, filled, record
from tests.log.shipping import counted, stored


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
