"""Reading records: one by its id, or page by page."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from scopebound_engine.errors import NotFoundError
from scopebound_engine.log import decisions
from scopebound_engine.log.decisions import DecisionLog, Search
from scopebound_engine.log.record import new_id
from scopebound_engine.log.shipper import Shipper
from tests.journals import NODE, NOW_US, Written, denied, record


@pytest.fixture
def journal(tmp_path: Path) -> Written:
    return Written(tmp_path / "log")


@pytest.fixture
def log(database: Engine) -> DecisionLog:
    return DecisionLog(database)


def ship(database: Engine, journal: Written) -> None:
    Shipper(database, journal.folder, NODE).run()


def numbers(lines: tuple[str, ...]) -> list[int]:
    return [json.loads(line)["chain"]["seq"] for line in lines]


def all_pages(log: DecisionLog, search: Search, limit: int) -> list[int]:
    found: list[int] = []
    after = None
    while True:
        page = log.page(search, limit, after)
        found += numbers(page.lines)
        after = page.next
        if after is None:
            return found


def test_a_record_is_found_by_its_id_as_its_line(
    database: Engine, journal: Written, log: DecisionLog
) -> None:
    ids = [new_id(NOW_US + number) for number in range(50)]
    journal.append(*(record(n, id=one, at_us=NOW_US + n) for n, one in enumerate(ids)))
    journal.append(record(99, id="not a time"))
    ship(database, journal)
    for one, text in zip(ids, journal.texts(), strict=False):
        assert log.get(one) == text
    assert log.get("not a time") == journal.texts()[-1]


@pytest.mark.parametrize(
    "unknown", ["", "no id", "x" * 500, "nul\0", "01900000-0000-7000-8000-00000000ffff", "\ud800"]
)
def test_an_id_of_no_record_is_not_found(log: DecisionLog, unknown: str) -> None:
    with pytest.raises(NotFoundError, match="no such record"):
        log.get(unknown)


def test_pages_have_every_record_once_newest_first_while_others_come(
    database: Engine, journal: Written, log: DecisionLog
) -> None:
    # Several of one moment, and times that go back.
    journal.append(*(record(n, at_us=NOW_US + n // 4 * 10 - n % 3) for n in range(40)))
    ship(database, journal)
    first = log.page(Search(), 7)
    assert first.next is not None
    journal.append(*(record(100 + n) for n in range(5)))
    ship(database, journal)
    found, after = numbers(first.lines), first.next
    while after is not None:
        page = log.page(Search(), 7, after)
        found += numbers(page.lines)
        after = page.next
    assert sorted(found) == list(range(1, 41))
    times = [json.loads(journal.texts()[seq - 1])["record"]["at_us"] for seq in found]
    assert times == sorted(times, reverse=True)


def test_filters_have_to_fit_all(database: Engine, journal: Written, log: DecisionLog) -> None:
    journal.append(
        record(0),
        denied(1),
        denied(2, tool_name="mail"),
        denied(3, deny_code="RATE_LIMIT_EXCEEDED"),
        record(4, session={"id": "session-2"}, role={"id": "role-2", "name": "clerk"}),
        record(5, call_id="call-1"),
    )
    ship(database, journal)
    for equal, expected in (
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"decision": "deny"}, [4, 3, 2]),
        ({"decision": "deny", "tool_name": "mail"}, [3]),
        ({"deny_code": "RATE_LIMIT_EXCEEDED"}, [4]),
        ({"event": "tool_call.allow"}, [6, 5, 1]),
        ({"session_id": "session-2"}, [5]),
        ({"role_id": "role-2"}, [5]),
        ({"role_name": "clerk"}, [6, 5, 4, 3, 2, 1]),
        ({"call_id": "call-1"}, [6, 2]),
        ({"request_id": "request-3"}, [4]),
        ({"api_key_id": "key-1", "node": NODE}, [6, 5, 4, 3, 2, 1]),
        ({"node": "another"}, []),
        ({"tool_name": "' OR 1=1 --"}, []),
        ({"deny_code": "\0"}, []),
    ):
        assert all_pages(log, Search(equal), 2) == expected, equal
    second = 1_000_000
    middle = Search(since_us=NOW_US + 2 * second, until_us=NOW_US + 4 * second)
    assert all_pages(log, middle, 10) == [4, 3]


def test_a_page_of_large_records_ends_early_and_loses_none(
    database: Engine, journal: Written, log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "MOST_BYTES", 20_000)
    journal.append(*(record(n, note="x" * 9_000) for n in range(7)), record(8, note="x" * 50_000))
    ship(database, journal)
    assert len(log.page(Search(), 100).lines) == 1
    assert all_pages(log, Search(), 100) == [8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("other", ["tool_name", "role_id", "role_name", "event", "api_key_id"])
def test_one_session_of_a_usual_tool_is_not_searched_among_all_calls_of_the_tool(
    database: Engine, journal: Written, log: DecisionLog, other: str
) -> None:
    """PostgreSQL keeps statistics; SQLite takes any index unless it is told."""
    if database.dialect.name != "sqlite":
        return
    statements: list[str] = []

    def plan(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if " FROM decisions " in statement.replace("\n", " "):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            statements.append(cursor.fetchone()[3])

    event.listen(database, "before_cursor_execute", plan)
    for equal in ({other: "x", "session_id": "y"}, {"session_id": "y", other: "x"}):
        log.page(Search(equal), 10)
        log.page(Search(equal), 10, after=(NOW_US, NODE, 1))
    expected = "SEARCH decisions USING INDEX ix_decisions_session_id (session_id=?"
    assert len(statements) == 4
    assert all(said.startswith(expected) for said in statements), statements
