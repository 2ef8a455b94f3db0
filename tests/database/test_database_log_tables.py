"""Which indexes answer what is asked of the decision log."""

import pytest
from sqlalchemy import Engine, Select, func, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from scopebound_engine.database import bulk, partitions
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.log_tables import decisions

TABLE = decisions.c


@pytest.fixture
def log(database: Engine) -> Engine:
    """A log of some thousand calls within a minute, as PostgreSQL knows it after a while."""
    rows = []
    for number in range(3_000):
        row: dict[str, object] = {column.name: f"x{number % 100}" for column in decisions.columns}
        row |= {"at_us": number, "node": "n", "seq": number}
        row |= dict.fromkeys(("id", "call_id", "request_id"), str(number))
        row["verdict"] = "deny" if number % 3 else "allow"
        rows.append(tuple(row.values()))
    with transaction(database) as connection:
        if database.dialect.name == "postgresql":
            partitions.make(connection, 0)
        bulk.insert(connection, decisions, rows)
        if database.dialect.name == "postgresql":
            connection.execute(text("ANALYZE decisions"))
    return database


def plan(log: Engine, query: Select[tuple[object, ...]]) -> str:
    """How the database would answer; PostgreSQL as if its tables were large."""
    is_sqlite = log.dialect.name == "sqlite"
    dialect = sqlite.dialect() if is_sqlite else postgresql.dialect()  # type: ignore[no-untyped-call]
    compiled = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    statement = f"EXPLAIN {'QUERY PLAN' if is_sqlite else ''} {compiled}"
    with reading(log) as connection:
        if not is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(statement))


def index(log: Engine, column: str) -> str:
    """The name of an index as plans say it: a partition's is named after the partition."""
    if log.dialect.name == "sqlite":
        return f"ix_decisions_{column}"
    return {"id": "decisions_day_0_id_idx"}.get(column, f"decisions_day_0_{column}")


def test_calls_are_counted_from_an_index_alone(log: Engine) -> None:
    within = (TABLE.verdict.is_not(None), TABLE.at_us >= 5, TABLE.at_us < 60_000_000)
    by_verdict = select(TABLE.verdict, func.count()).where(*within).group_by(TABLE.verdict)
    denied = (*within, TABLE.verdict == "deny", TABLE.tool_name.is_not(None))
    by_tool = select(TABLE.tool_name, func.count()).where(*denied).group_by(TABLE.tool_name)
    for query in (by_verdict, by_tool):
        found = plan(log, query)
        if log.dialect.name == "sqlite":
            assert "USING COVERING INDEX ix_decisions_verdict (at_us>" in found
        else:
            assert "Index Only Scan using decisions_day_0_at_us_verdict" in found


@pytest.mark.parametrize(
    "column",
    ["session_id", "role_id", "role_name", "tool_name", "deny_code", "api_key_id", "event"],
)
def test_a_filter_finds_the_newest_first_without_sorting_all(log: Engine, column: str) -> None:
    key = (TABLE.at_us, TABLE.node, TABLE.seq)
    page = select(TABLE.line).where(TABLE[column] == "x7", tuple_(*key) < tuple_(2_900, "n", 9))
    found = plan(log, page.order_by(*(part.desc() for part in key)).limit(50))
    assert index(log, column) in found
    assert "FOR ORDER BY" not in found


@pytest.mark.parametrize("column", ["id", "call_id", "request_id"])
def test_one_record_is_found_by_its_index(log: Engine, column: str) -> None:
    assert index(log, column) in plan(log, select(TABLE.line).where(TABLE[column] == "7"))


def test_the_newest_are_found_without_sorting(log: Engine) -> None:
    key = (TABLE.at_us, TABLE.node, TABLE.seq)
    page = select(TABLE.line).where(tuple_(*key) < tuple_(2_900, "n", 9), TABLE.decision == "deny")
    found = plan(log, page.order_by(*(part.desc() for part in key)).limit(50))
    assert "Sort" not in found
    assert "TEMP B-TREE" not in found
