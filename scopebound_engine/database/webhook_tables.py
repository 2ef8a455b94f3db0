"""The tables of webhooks. Times are microseconds since the epoch."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, text

from scopebound_engine.database.columns import NUMBER, UUID, metadata

_WAITS: Final = text("dead_us IS NULL")
_IS_DEAD: Final = text("dead_us IS NOT NULL")

# What is yet to be delivered, and what could not be: that has `dead_us`.
webhook_outbox = Table(
    "webhook_outbox",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    # The webhook's id, and that of the record which it is about, or of the first one.
    Column("id", Text, nullable=False, unique=True),
    Column("role_id", UUID, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    # Not sent before. Those of a role are sent in the order of (ready_us, number).
    Column("ready_us", BigInteger, nullable=False),
    # The body, without its count: a JSON text.
    Column("payload", Text, nullable=False),
    # How many denials it is about; null where it is about one, and says no count.
    Column("joined", Integer),
    # How often it was taken in hand; it is changed no more after the first time.
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("dead_us", BigInteger),
    Index(
        "ix_webhook_outbox_waiting",
        *("role_id", "ready_us", "number"),
        sqlite_where=_WAITS,
        postgresql_where=_WAITS,
    ),
    Index("ix_webhook_outbox_at_us", "at_us", sqlite_where=_WAITS, postgresql_where=_WAITS),
    Index(
        "ix_webhook_outbox_dead",
        *("dead_us", "number"),
        sqlite_where=_IS_DEAD,
        postgresql_where=_IS_DEAD,
    ),
    sqlite_autoincrement=True,
)

# One row for each role that ever had something to deliver.
webhook_lanes = Table(
    "webhook_lanes",
    metadata,
    Column("role_id", UUID, primary_key=True),
    # When the first that waits is ready; null where none waits.
    Column("due_us", BigInteger),
    # Nothing is sent before: somebody is sending, or the receiver is given time to recover.
    Column("held_until_us", BigInteger, nullable=False),
)

# Which denials there were lately, by the hash of session, code and tool.
webhook_repeats = Table(
    "webhook_repeats",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("from_us", BigInteger, nullable=False, index=True),
    Column("seen", Integer, nullable=False),
    # The id in the outbox of those that were joined.
    Column("joined_id", Text),
)
