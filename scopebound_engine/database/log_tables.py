"""The tables of the decision log: its records as they were journaled, and what is counted of them.

A record's columns repeat what its line says, for filters; a text longer than TEXT_LENGTH is cut
there (the line has all of it). Times are microseconds since the epoch, of the record's node.

Which index serves what, in `decisions`:

- newest first, a time range, keyset paging by (at_us, node, seq), and filters that leave much of
  the log (decision, node): the primary key
- one record (id): ix_decisions_id. On PostgreSQL a bound on at_us beside it spares all other days;
  an id is a UUIDv7, which begins with its milliseconds.
- call_id, request_id: an index of each
- session_id, role_id, role_name, tool_name, deny_code, event, api_key_id: an index of each with
  at_us, newest first without sorting; all but `event` hold no rows where the column is null
- calls within parts of minutes (`verdict`, `tool_name`): ix_decisions_verdict, from which alone
  both databases answer

`verdict` is "allow" or "deny" where the record is a call that counts: a tool call or MCP tool call
(event `tool_call.*`, `mcp_tool_call.*` with `allow` or `deny`). It is null for everything else:
replays, delegations, sessions, management. The counts hold exactly the rows with a verdict.

On PostgreSQL `decisions` is partitioned by day, see `database/partitions.py`.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, text

from scopebound_engine.database.columns import Timestamp, metadata

TEXT_LENGTH: Final = 200
HOUR_US: Final = 3_600_000_000
MINUTE_US: Final = 60_000_000

_HASH: Final = String(64)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _latest_by(column: str) -> Index:
    return Index(f"ix_decisions_{column}", column, "at_us", **_where(f"{column} IS NOT NULL"))


decisions = Table(
    "decisions",
    metadata,
    Column("at_us", BigInteger, primary_key=True, autoincrement=False),
    Column("node", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text),
    Column("event", Text, nullable=False),
    Column("decision", Text),
    Column("verdict", Text),
    Column("deny_code", Text),
    Column("tool_name", Text),
    Column("role_id", Text),
    Column("role_name", Text),
    Column("session_id", Text),
    Column("call_id", Text),
    Column("request_id", Text),
    Column("api_key_id", Text),
    Column("bundle_checksum", Text),
    # The journal's line without its newline, exactly. Last: SQLite reads through it.
    Column("line", Text, nullable=False),
    Index("ix_decisions_id", "id"),
    Index("ix_decisions_event", "event", "at_us"),
    *map(
        _latest_by,
        ("session_id", "role_id", "role_name", "tool_name", "deny_code", "api_key_id"),
    ),
    Index("ix_decisions_call_id", "call_id", **_where("call_id IS NOT NULL")),
    Index("ix_decisions_request_id", "request_id", **_where("request_id IS NOT NULL")),
    Index("ix_decisions_verdict", "at_us", "verdict", "tool_name", **_where("verdict IS NOT NULL")),
    postgresql_partition_by="RANGE (at_us)",
)

# How far each node's journal is in `decisions`: the last line that is, and where it ends.
log_cursors = Table(
    "log_cursors",
    metadata,
    Column("node", Text, primary_key=True),
    # The number of the segment's first line, and how many bytes into the segment the line ends.
    Column("segment", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    # The line's number, length without its newline, and hash; before the first one 0, 0, GENESIS.
    Column("seq", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("hash", _HASH, nullable=False),
)

# Calls of one node by verdict, in each whole hour and in each whole minute (span_us is HOUR_US or
# MINUTE_US; from_us is its multiple). Minutes are kept for some days, hours as long as records.
call_counts = Table(
    "call_counts",
    metadata,
    Column("span_us", BigInteger, primary_key=True, autoincrement=False),
    Column("from_us", BigInteger, primary_key=True, autoincrement=False),
    Column("node", Text, primary_key=True),
    Column("verdict", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
)

# Of these the denied ones by tool, where the tool has a place, see `log/names.py`: its calls since
# it has it, and those of others that had it before. Calls that name no tool are in none.
denied_tools = Table(
    "denied_tools",
    metadata,
    Column("span_us", BigInteger, primary_key=True, autoincrement=False),
    Column("from_us", BigInteger, primary_key=True, autoincrement=False),
    Column("node", Text, primary_key=True),
    Column("tool_name", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("before", BigInteger, nullable=False),
)

# When a record named a bundle last: so long its bytes are needed to decide again.
bundle_uses = Table(
    "bundle_uses",
    metadata,
    Column("checksum", Text, primary_key=True),
    Column("last_us", BigInteger, nullable=False),
)

# The public halves of the keys that nodes sign checkpoints of their logs with.
log_keys = Table(
    "log_keys",
    metadata,
    Column("vkey", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("published_at", Timestamp, nullable=False),
)
