"""What becomes of a line in the database: its columns, its counts and its day."""

import pytest
from sqlalchemy import Engine, select, text

from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.log_tables import (
    HOUR_US,
    MINUTE_US,
    TEXT_LENGTH,
    bundle_uses,
    call_counts,
    decisions,
    denied_tools,
)
from scopebound_engine.log.shipper import Shipper
from tests.journals import NODE, NOW_US, Written, denied, record
from tests.log.shipping import counted, stored


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
