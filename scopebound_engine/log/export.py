"""The records of a window, node by node, each node's in the order of its journal.

A record is written a moment after its time was taken, so that times are not quite in order where
numbers are. What is read by time is brought into order again, from the first record on that is in
the window: no number is left out between the first line and the last, and a chain can be verified.

In JSON and JSON Lines a record is the line of its journal, exactly. CSV has one row a record, and
what a spreadsheet would run as a formula has an apostrophe before it, also where one that takes
semicolons or tabs for separators would begin a cell
(https://owasp.org/www-community/attacks/CSV_Injection).
"""

import csv
import heapq
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Engine, literal, select, tuple_

from scopebound_engine.database.engine import reading
from scopebound_engine.database.log_tables import decisions, log_cursors

# One page is read from the database at once, and no transaction waits for whoever downloads.
_PAGE_LINES: Final = 1_000
_PAGE_BYTES: Final = 4 << 20
_SECONDS: Final = 5.0
# How far apart the order of times and that of numbers may be.
_MARGIN_US: Final = 5_000_000
_WAITING: Final = 5_000
_WAITING_BYTES: Final = 64 << 20

# The beginning of a cell, where a formula follows: its sign, in full width too, perhaps behind what
# is not seen.
_UNSEEN: Final = (
    r"\x00-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad\u1680"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff"
)
_FORMULA: Final = re.compile(
    rf"(?:^|(?<=[;\t\r\n]))(?=[{_UNSEEN}]{{0,64}}[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])"
)
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "at": ("at",),
    "node": ("node",),
    "id": ("id",),
    "event": ("event",),
    "decision": ("decision",),
    "deny_code": ("deny_code",),
    "severity": ("violations", "severity"),
    "reason": ("violations", "reason"),
    "tool_name": ("tool_name",),
    "mcp_server": ("mcp_server",),
    "role": ("role", "name"),
    "role_id": ("role", "id"),
    "agent": ("agent",),
    "session_id": ("session", "id"),
    "call_id": ("call_id",),
    "request_id": ("request", "id"),
    "api_key_id": ("request", "api_key_id"),
    "peer": ("request", "peer"),
    "actor": ("actor", "name"),
    "subject": ("subject", "name"),
    "bundle_version": ("bundle", "version"),
    "bundle_checksum": ("bundle", "checksum"),
    "latency_ms": ("latency_ms", "total"),
}

_Found = tuple[int, int, str]


def lines(engine: Engine, from_us: int, to_us: int) -> Iterator[str]:
    """The lines from a time until before another one, in epoch microseconds.

    Raises DatabaseUnavailableError, also in mid-way.
    """
    with reading(engine, _SECONDS) as connection:
        nodes = connection.execute(select(log_cursors.c.node)).scalars().all()
    for node in sorted(nodes):
        found = _by_time(engine, node, from_us - _MARGIN_US, to_us)
        is_within = False
        for _, at_us, line in _by_number(found):
            is_within = is_within or at_us >= from_us
            if is_within:
                yield line


def as_jsonl(found: Iterable[str]) -> Iterator[bytes]:
    """One line a record."""
    for line in found:
        yield line.encode() + b"\n"


def as_json(found: Iterable[str]) -> Iterator[bytes]:
    """One array."""
    before = b"["
    for line in found:
        yield before + line.encode()
        before = b",\n"
    yield b"]\n" if before == b",\n" else b"[]\n"


def as_csv(found: Iterable[str]) -> Iterator[bytes]:
    """A header and one row a record; of several violations the primary one."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for line in found:
        record = json.loads(line)["record"]
        writer.writerow([_cell(_at(record, path)) for path in _COLUMNS.values()])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


FORMATS: Final[Mapping[str, tuple[str, Callable[[Iterable[str]], Iterator[bytes]]]]] = {
    "json": ("application/json", as_json),
    "jsonl": ("application/jsonl", as_jsonl),
    "csv": ("text/csv; charset=utf-8", as_csv),
}


def _by_time(engine: Engine, node: str, from_us: int, to_us: int) -> Iterator[_Found]:
    """Number, time and line of a node's records, read page by page."""
    columns = (decisions.c.at_us, decisions.c.seq)
    query = (
        select(decisions.c.seq, decisions.c.at_us, decisions.c.line)
        .where(decisions.c.node == node, decisions.c.at_us < to_us)
        .order_by(*columns)
        .limit(_PAGE_LINES)
    )
    after = (from_us, 0)
    while True:
        page = query.where(
            decisions.c.at_us >= after[0], tuple_(*columns) > tuple_(*map(literal, after))
        )
        rows: list[_Found] = []
        size = 0
        with reading(engine, _SECONDS) as connection:
            for seq, at_us, line in connection.execution_options(yield_per=50).execute(page):
                rows.append((seq, at_us, line))
                size += len(line)
                if size > _PAGE_BYTES:
                    break
        if not rows:
            return
        yield from rows
        after = (rows[-1][1], rows[-1][0])


def _by_number(found: Iterable[_Found]) -> Iterator[_Found]:
    """The same in the order of numbers, which is nearly theirs.

    Where a number is missing, those behind it wait for a while.
    """
    waiting: list[_Found] = []
    size, due = 0, 0
    for one in found:
        heapq.heappush(waiting, one)
        size += len(one[2])
        while waiting and (
            waiting[0][0] <= due or len(waiting) > _WAITING or size > _WAITING_BYTES
        ):
            first = heapq.heappop(waiting)
            size, due = size - len(first[2]), first[0] + 1
            yield first
    while waiting:
        yield heapq.heappop(waiting)


def _at(record: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What is at the path, None where nothing is; of an array the first."""
    value: Any = record
    for name in path:
        if isinstance(value, list):
            value = value[0] if value else None
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _cell(value: Any) -> Any:
    """What a spreadsheet takes for a text stays one."""
    return _FORMULA.sub("'", value) if isinstance(value, str) else value
