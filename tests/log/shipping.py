"""What a shipper has brought into the database."""

from typing import Any

from sqlalchemy import Engine, select

from scopebound_engine.database.engine import reading
from scopebound_engine.database.log_tables import call_counts, decisions
from tests.journals import NODE


def stored(database: Engine, node: str = NODE) -> list[str]:
    """The node's lines in the database, in the order of their numbers."""
    query = select(decisions.c.line).where(decisions.c.node == node)
    with reading(database) as connection:
        return list(
            connection.execute(query.order_by(decisions.c.seq, decisions.c.at_us)).scalars()
        )


def counted(database: Engine, table: Any) -> dict[tuple[int, str], int]:
    """Calls by span and by verdict or tool."""
    of = table.c.verdict if table is call_counts else table.c.tool_name
    found: dict[tuple[int, str], int] = {}
    with reading(database) as connection:
        for row in connection.execute(select(table.c.span_us, of, table.c.from_us, table.c.calls)):
            assert row[2] % row[0] == 0
            found[row[0], row[1]] = found.get((row[0], row[1]), 0) + row[3]
    return found
