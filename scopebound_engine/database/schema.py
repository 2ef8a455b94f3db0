"""The tables, one definition for SQLite and PostgreSQL.

Times are stored as whole microseconds since the epoch and seen as aware UTC datetimes: exact in
both databases, comparable and divisible into hours in plain SQL. Documents are JSON *text* in both:
PostgreSQL's jsonb would rewrite large numbers of a role's constraints.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from scopebound_engine.database.columns import NUMBER, UUID, Timestamp, metadata
from scopebound_engine.database.log_tables import (
    bundle_uses,
    call_counts,
    decisions,
    denied_tools,
    log_cursors,
)
from scopebound_engine.database.webhook_tables import (
    webhook_lanes,
    webhook_outbox,
    webhook_repeats,
)

__all__ = [
    "Timestamp",
    "activation_proposals",
    "activations",
    "api_keys",
    "baselines",
    "bundle_events",
    "bundle_uses",
    "bundles",
    "call_counts",
    "decisions",
    "denied_tools",
    "ended_sessions",
    "log_cursors",
    "metadata",
    "roles",
    "sessions",
    "signing_keys",
    "webhook_lanes",
    "webhook_outbox",
    "webhook_repeats",
    "workers",
]

roles = Table(
    "roles",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("parent_id", ForeignKey("roles.id"), index=True),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    Column("fields", JSON, nullable=False),
    # Why the role is suspended; null while it is not.
    Column("suspended_reason", Text),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("revoked_at", Timestamp),
    Column("last_used_at", Timestamp),
)

# The public halves of the nodes' keys; the private ones never leave their node's disk.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(43), primary_key=True),
    Column("public_pem", Text, nullable=False),
    Column("not_before", Timestamp, nullable=False),
    Column("expires_at", Timestamp),
)

# A removed version keeps its row, to which activations and events refer, and where it was in force
# its bytes, as long as the decision log names it.
bundles = Table(
    "bundles",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("checksum", String(64), nullable=False, index=True),
    Column("identity", Text, nullable=False),
    # Of the key that signed it; null where it was stored before that was noted.
    Column("key_id", Text),
    Column("bundle_path", String(128), nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("uploaded_at", Timestamp, nullable=False),
    Column("uploaded_by", Text, nullable=False, server_default=""),
    Column("warnings", JSON, nullable=False, server_default="[]"),
    Column("removed_at", Timestamp),
    # Last: SQLite reads through it to what comes after it.
    Column("bytes", LargeBinary),
    Index(
        "uq_bundles_kept_identity",
        "identity",
        unique=True,
        sqlite_where=text("removed_at IS NULL"),
        postgresql_where=text("removed_at IS NULL"),
    ),
)

# The bundle in force is that of the highest generation; none was ever activated while it is empty.
activations = Table(
    "activations",
    metadata,
    Column("generation", NUMBER, primary_key=True, autoincrement=True),
    Column("bundle_id", ForeignKey("bundles.id"), nullable=False, index=True),
    Column("activated_at", Timestamp, nullable=False),
    Column("kind", Text, nullable=False, server_default="bundle.activated"),
    Column("actor", Text, nullable=False),
    Column("api_key_id", UUID),
    Column("reason", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)

bundle_events = Table(
    "bundle_events",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("at", Timestamp, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("api_key_id", UUID),
    Column("key_id", Text),
    Column("bundle_id", ForeignKey("bundles.id"), index=True),
    Column("from_bundle_id", ForeignKey("bundles.id")),
    Column("from_generation", BigInteger),
    Column("generation", BigInteger),
    Column("version", Text),
    Column("checksum", String(64)),
    Column("reason", Text, nullable=False),
    Column("findings", JSON, nullable=False),
    sqlite_autoincrement=True,
)

# What workers are asked to prepare, one row at most. These times are microseconds of the database's
# clock, the only one that all nodes share.
activation_proposals = Table(
    "activation_proposals",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("bundle_id", ForeignKey("bundles.id"), nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("lease_ends_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# What each worker runs and has prepared. Unlogged on PostgreSQL: after a crash all report again.
workers = Table(
    "workers",
    metadata,
    Column("worker_id", Text, primary_key=True),
    Column("node_id", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("checksum", String(64)),
    Column("prepared", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Column("error_at", Timestamp),
    Column("loaded_at", Timestamp),
    Column("seen_us", BigInteger, nullable=False),
)

# What must be known of a session whatever crashes; buckets and counts of calls are session state.
sessions = Table(
    "sessions",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("role_id", UUID, nullable=False, index=True),
    Column("role_revision", BigInteger, nullable=False),
    Column("api_key_id", UUID, index=True),
    Column("parent_id", UUID, index=True),
    Column("created_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp, nullable=False, index=True),
    Column("claims", JSON, nullable=False),
    Column("revoked_at", Timestamp),
    Column("revoked_reason", Text),
    Column("baseline_id", ForeignKey("baselines.id")),
    # When it was first denied for drift; null before, and again once an operator cleared it.
    Column("latched_at", Timestamp),
    # When its counts of calls were taken over into ended_sessions, or found unfit for that.
    Column("ended_at", Timestamp),
)

# What sessions of a role did, fitted; the newest of a role is pinned by its new sessions.
baselines = Table(
    "baselines",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("role_id", UUID, nullable=False, index=True),
    Column("fitted_at", Timestamp, nullable=False),
    Column("document", JSON, nullable=False),
    sqlite_autoincrement=True,
)

# Calls by tool of sessions that ran to their end without being revoked or found drifting.
ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("session_id", UUID, primary_key=True),
    Column("role_id", UUID, nullable=False),
    Column("ended_at", Timestamp, nullable=False),
    Column("counts", JSON, nullable=False),
    Index("ix_ended_sessions_role_id_ended_at", "role_id", "ended_at"),
)
