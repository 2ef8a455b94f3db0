"""The records in the database: one by its id, or those of a search page by page, newest first.

A page ends where the next one begins, at a record and not at a number: what is shipped meanwhile
moves nothing. Records come as the lines of their journals, exactly.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, Select, false, func, literal, null, select, tuple_

from scopebound_engine.database.engine import reading
from scopebound_engine.database.log_tables import decisions
from scopebound_engine.errors import NotFoundError
from scopebound_engine.log.entries import Key, column

# A page ends early where its records are so large together.
MOST_BYTES: Final = 8 << 20
FILTERS: Final = (
    "event",
    "decision",
    "deny_code",
    "tool_name",
    "role_id",
    "role_name",
    "session_id",
    "call_id",
    "request_id",
    "api_key_id",
    "node",
)
# SQLite knows nothing of how many records a filter leaves: of two it might read through all of the
# most usual tool's, instead of those of one session.
_NARROWEST: Final = (
    *("call_id", "request_id", "session_id", "tool_name", "role_id", "role_name"),
    *("api_key_id", "deny_code", "event"),
)
_SECONDS: Final = 3.0
_MILLISECOND_US: Final = 1_000


@dataclass(frozen=True, slots=True)
class Search:
    """Which records: equal in these columns, from `since_us` until before `until_us`."""

    equal: Mapping[str, str] = field(default_factory=dict)
    since_us: int | None = None
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, newest first; `next` is the key behind which others follow, None at the end."""

    lines: tuple[str, ...]
    next: Key | None


class DecisionLog:
    """Reads what all nodes have shipped. Every method raises DatabaseUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, record_id: str) -> str:
        """The line of one record. Raises NotFoundError."""
        query = select(decisions.c.line).where(*_conditions(Search({"id": record_id})))
        query = query.where(*_when(record_id))
        with reading(self._engine, _SECONDS) as connection:
            line: str | None = connection.execute(query).scalars().first()
        if line is None:
            raise NotFoundError(
                "there is no such record in the database: records get there some moments after "
                "they are written, and are kept for SCOPEBOUND_LOG_RETENTION_DAYS"
            )
        return line

    def page(self, search: Search, limit: int, after: Key | None = None) -> Page:
        """At most `limit` records, those older than `after`."""
        query = _query(search, after, self._index(search)).limit(limit + 1)
        lines: list[str] = []
        size, last = 0, None
        with reading(self._engine, _SECONDS) as connection:
            rows = connection.execution_options(yield_per=100).execute(query)
            for at_us, node, seq, line in rows:
                if len(lines) == limit or (lines and size + len(line) > MOST_BYTES):
                    return Page(tuple(lines), last)
                lines.append(line)
                size, last = size + len(line), (at_us, node, seq)
        return Page(tuple(lines), None)

    def _index(self, search: Search) -> str:
        """The filter by whose index to search; empty where the database knows best."""
        if self._engine.dialect.name != "sqlite":
            return ""
        return next((name for name in _NARROWEST if name in search.equal), "")


def _query(search: Search, after: Key | None, index: str) -> Select[Any]:
    key = (decisions.c.at_us, decisions.c.node, decisions.c.seq)
    query = select(*key, decisions.c.line).where(*_conditions(search, index))
    if after is not None:
        # The first alone, too: what PostgreSQL leaves out partitions by.
        query = query.where(
            decisions.c.at_us <= after[0], tuple_(*key) < tuple_(*map(literal, after))
        )
    return query.order_by(*(one.desc() for one in key))


def _conditions(search: Search, index: str = "") -> Iterator[ColumnElement[bool]]:
    for name, value in search.equal.items():
        known, of = column(value), decisions.c[name]
        # Nothing else than the column itself is looked up in an index.
        compared = of if index in {"", name} else func.coalesce(of, null())
        yield false() if known is None else compared == known
    if search.since_us is not None:
        yield decisions.c.at_us >= search.since_us
    if search.until_us is not None:
        yield decisions.c.at_us < search.until_us


def _when(record_id: str) -> Iterator[ColumnElement[bool]]:
    """When the record was made, as its id says: it spares PostgreSQL all other days."""
    try:
        made = UUID(record_id)
    except ValueError:
        return
    if made.version == 7:
        from_us = (made.int >> 80) * _MILLISECOND_US
        yield decisions.c.at_us >= from_us
        yield decisions.c.at_us < from_us + _MILLISECOND_US
