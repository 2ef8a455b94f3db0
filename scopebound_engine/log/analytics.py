"""Usage in numbers: how many calls were allowed and denied, which tools' calls, and when.

Exact to the microsecond at both ends of the window: whole hours and minutes were counted while
their records were stored, only parts of minutes are counted call by call. How many calls were
allowed and denied is exact; where an hour has more denied tools than places for their names, see
`log/names.py`, what is left out of the tools is told as `unnamed`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Select, desc, func, literal, select, union_all

from scopebound_engine.database.engine import reading
from scopebound_engine.database.log_tables import HOUR_US, call_counts, decisions, denied_tools
from scopebound_engine.log.spans import Span, tiles

MOST_TOOLS: Final = 10
# Management, not the path of a call: a database under load may take its time.
_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Hour:
    """Calls of the window in the hour that begins at `at_us`."""

    at_us: int
    allowed: int
    denied: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls of a window: those that count, see `database/log_tables.py`.

    `denied_tools` are the most often denied ones, most often first, then by name. `unnamed` denials
    are counted for no tool: it had no place, or the call did not name one. A tool's real number is
    at most that much larger. `hours` are all that the window touches, also those without calls.
    """

    denied_tools: tuple[tuple[str, int], ...]
    unnamed: int
    hours: tuple[Hour, ...]

    @property
    def allowed(self) -> int:
        """How many calls were allowed."""
        return sum(hour.allowed for hour in self.hours)

    @property
    def denied(self) -> int:
        """How many calls were denied."""
        return sum(hour.denied for hour in self.hours)


class Analytics:
    """Counts what all nodes have shipped."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine, self._clock = engine, clock

    def usage(self, window_hours: int) -> Usage:
        """The usage of the hours before now. Raises DatabaseUnavailableError."""
        to_us = int(self._clock() * 1_000_000)
        return self.between(to_us - window_hours * HOUR_US, to_us)

    def between(self, from_us: int, to_us: int) -> Usage:
        """The usage from a time until before another one, in epoch microseconds."""
        spans = tiles(from_us, to_us)
        with reading(self._engine, _SECONDS) as connection:
            calls = Counter[tuple[int, str]]()
            for at_us, verdict, number in connection.execute(_calls(spans)):
                calls[int(at_us) * HOUR_US, verdict] += int(number)
            tools = connection.execute(_denied(spans, self._binary())).all()
        named = int(tools[0].named) if tools else 0
        denied = sum(number for (_, verdict), number in calls.items() if verdict == "deny")
        first = from_us // HOUR_US * HOUR_US
        return Usage(
            tuple((name, int(number)) for name, number, _ in tools),
            denied - named,
            tuple(
                Hour(at_us, calls[at_us, "allow"], calls[at_us, "deny"])
                for at_us in range(first, to_us, HOUR_US)
            ),
        )

    def _binary(self) -> str:
        """The collation in which both databases sort alike."""
        return "C" if self._engine.dialect.name == "postgresql" else "BINARY"


def _calls(spans: list[Span]) -> Select[Any]:
    """Rows of hour since the epoch, verdict, and number."""
    parts = []
    for span in spans:
        if span.step_us:
            hour = call_counts.c.from_us.op("/")(HOUR_US)
            part = select(hour.label("hour"), call_counts.c.verdict, call_counts.c.calls)
            parts.append(part.where(*_in(span, call_counts)))
        else:
            hour = decisions.c.at_us.op("/")(HOUR_US)
            part = select(hour.label("hour"), decisions.c.verdict, literal(1).label("calls"))
            parts.append(part.where(*_in(span, decisions), decisions.c.verdict.is_not(None)))
    found = union_all(*parts).subquery()
    return select(found.c.hour, found.c.verdict, func.sum(found.c.calls)).group_by(
        found.c.hour, found.c.verdict
    )


def _denied(spans: list[Span], collation: str) -> Select[Any]:
    """Rows of a tool, how often it was denied, and how often all that have a name were."""
    parts = []
    for span in spans:
        if span.step_us:
            part = select(denied_tools.c.tool_name, denied_tools.c.calls)
            parts.append(part.where(*_in(span, denied_tools)))
        else:
            part = select(decisions.c.tool_name, literal(1).label("calls"))
            is_denied = (decisions.c.verdict == "deny", decisions.c.tool_name.is_not(None))
            parts.append(part.where(*_in(span, decisions), *is_denied))
    found = union_all(*parts).subquery()
    number = func.sum(found.c.calls)
    return (
        select(found.c.tool_name, number, func.sum(number).over().label("named"))
        .group_by(found.c.tool_name)
        .order_by(desc(number), found.c.tool_name.collate(collation))
        .limit(MOST_TOOLS)
    )


def _in(span: Span, table: Any) -> tuple[ColumnElement[bool], ...]:
    """The rows of a table that belong to the span."""
    if not span.step_us:
        return table.c.at_us >= span.from_us, table.c.at_us < span.to_us
    return (
        table.c.span_us == span.step_us,
        table.c.from_us >= span.from_us,
        table.c.from_us < span.to_us,
    )
