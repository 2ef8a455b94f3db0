"""What is counted of records while they are stored, so that analytics need not count them later."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from scopebound_engine.database.log_tables import HOUR_US, MINUTE_US
from scopebound_engine.log import names
from scopebound_engine.log.entries import Entry
from scopebound_engine.log.names import Span

_CALLS: Final = text(
    """
    INSERT INTO call_counts (span_us, from_us, node, verdict, calls)
    VALUES (:span_us, :from_us, :node, :verdict, :calls)
    ON CONFLICT (span_us, from_us, node, verdict)
    DO UPDATE SET calls = call_counts.calls + excluded.calls
    """
)
_USED: Final = text(
    """
    INSERT INTO bundle_uses (checksum, last_us) VALUES (:checksum, :last_us)
    ON CONFLICT (checksum) DO UPDATE SET last_us = excluded.last_us
    WHERE bundle_uses.last_us < excluded.last_us
    """
)


def add(connection: Connection, entries: Sequence[Entry]) -> None:
    """Count these, which were not counted before."""
    calls = Counter[tuple[Span, str]]()
    denied = defaultdict[Span, Counter[str]](Counter)
    for row in (entry.row for entry in entries if entry.row.verdict is not None):
        for span_us in (HOUR_US, MINUTE_US):
            span = (span_us, row.at_us // span_us * span_us, row.node)
            calls[span, str(row.verdict)] += 1
            if row.verdict == "deny" and row.tool_name is not None:
                denied[span][row.tool_name] += 1
    if calls:
        connection.execute(_CALLS, list(_rows(calls)))
    names.add(connection, denied)


def uses(entries: Iterable[Entry]) -> dict[str, int]:
    """By bundle's checksum, when the hour ends in which a record named it last."""
    found: dict[str, int] = {}
    for row in (entry.row for entry in entries):
        if row.bundle_checksum is not None:
            ends_us = (row.at_us // HOUR_US + 1) * HOUR_US
            found[row.bundle_checksum] = max(found.get(row.bundle_checksum, 0), ends_us)
    return found


def note_uses(connection: Connection, used: Mapping[str, int]) -> None:
    """Remember what `uses` found."""
    if used:
        rows = [{"checksum": checksum, "last_us": used[checksum]} for checksum in sorted(used)]
        connection.execute(_USED, rows)


def _rows(calls: Counter[tuple[Span, str]]) -> Iterable[dict[str, Any]]:
    # In one order: whoever counts the same meanwhile must not wait for us while we wait for them.
    for ((span_us, from_us, node), verdict), number in sorted(calls.items()):
        yield {
            "span_us": span_us,
            "from_us": from_us,
            "node": node,
            "verdict": verdict,
            "calls": number,
        }
