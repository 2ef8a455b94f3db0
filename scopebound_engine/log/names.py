"""Denied calls by tool. Agents make up names without end, so not all of them are counted.

Each hour and each minute of a node has places for so many names. Once all are taken, a new name
takes over the place that saw the fewest calls: of a name that is given up, the calls are counted
for no tool any more, and the place goes on with their number. So a tool with more than a
MOST_NAMES-th of a span's denials always has a place, whatever was made up before or after it. This
is the summary Space-Saving, of A. Metwally, D. Agrawal, A. El Abbadi, "Efficient computation of
frequent and top-k elements in data streams", ICDT 2005.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, text, tuple_

from scopebound_engine.database.log_tables import denied_tools

MOST_NAMES: Final = 100

# What calls are counted in: `span_us`, `from_us`, and the node.
Span = tuple[int, int, str]
_Row = dict[str, int | str]

_SET: Final = text(
    """
    INSERT INTO denied_tools (span_us, from_us, node, tool_name, calls, before)
    VALUES (:span_us, :from_us, :node, :tool_name, :calls, :before)
    ON CONFLICT (span_us, from_us, node, tool_name)
    DO UPDATE SET calls = excluded.calls, before = excluded.before
    """
)
_KEY: Final = tuple(denied_tools.primary_key.columns)
_GIVE_UP: Final = delete(denied_tools).where(
    *(column == bindparam(f"its_{column.name}") for column in _KEY)
)


@dataclass(frozen=True, slots=True)
class Place:
    """Calls of the tool that has it, and how many it saw of others before."""

    calls: int
    before: int = 0


def add(connection: Connection, denied: Mapping[Span, Mapping[str, int]]) -> None:
    """Count these denials by tool; nobody else counts for the node meanwhile."""
    found = _load(connection, denied)
    set_, given_up = list[_Row](), list[_Row]()
    for span, new in sorted(denied.items()):
        former, places = found[span], taken(found[span], new)
        set_ += [
            _row(span, name) | {"calls": place.calls, "before": place.before}
            for name, place in sorted(places.items())
            if place != former.get(name)
        ]
        given_up += [_row(span, name) for name in sorted(former.keys() - places.keys())]
    if given_up:
        rows = [{f"its_{column}": value for column, value in row.items()} for row in given_up]
        connection.execute(_GIVE_UP, rows)
    if set_:
        connection.execute(_SET, set_)


def taken(places: Mapping[str, Place], new: Mapping[str, int]) -> dict[str, Place]:
    """The places of a span after more calls: how many of each tool."""
    after = dict(places)
    for name in new.keys() & places.keys():
        after[name] = Place(places[name].calls + new[name], places[name].before)
    fewest = [(place.calls + place.before, name) for name, place in after.items()]
    heapify(fewest)
    for name in (name for name in new if name not in places):
        seen = 0
        if len(after) >= MOST_NAMES:
            seen, lost = heappop(fewest)
            del after[lost]
        after[name] = Place(new[name], seen)
        heappush(fewest, (seen + new[name], name))
    return after


def _load(
    connection: Connection, denied: Mapping[Span, Mapping[str, int]]
) -> dict[Span, dict[str, Place]]:
    found: dict[Span, dict[str, Place]] = {span: {} for span in denied}
    of_spans = tuple_(*_KEY[:3]).in_(sorted(denied))
    for row in connection.execute(select(denied_tools).where(of_spans)) if denied else ():
        found[row.span_us, row.from_us, row.node][row.tool_name] = Place(row.calls, row.before)
    return found


def _row(span: Span, name: str) -> _Row:
    span_us, from_us, node = span
    return {"span_us": span_us, "from_us": from_us, "node": node, "tool_name": name}
