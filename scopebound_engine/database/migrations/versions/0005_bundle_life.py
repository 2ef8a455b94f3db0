"""The life of a bundle: versions that can be removed, events, and what runs where."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UUID = sa.String(36)
# Microseconds since the epoch, UTC.
_TIME = sa.BigInteger
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


# Of one identity the version that is kept is the one in force last, else the one uploaded last.
_KEEP_ONE = """
UPDATE bundles SET bytes = NULL, removed_at = uploaded_at WHERE id NOT IN (
    SELECT first_value(b.id) OVER (
        PARTITION BY b.identity ORDER BY coalesce(a.generation, 0) DESC, b.uploaded_at DESC
    )
    FROM bundles b LEFT JOIN activations a ON a.bundle_id = b.id
)
"""
# What was uploaded was activated by the same hand.
_UPLOADED_BY = """
UPDATE bundles SET uploaded_by = coalesce(
    (SELECT a.actor FROM activations a WHERE a.bundle_id = bundles.id ORDER BY generation LIMIT 1),
    ''
)
"""


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    if op.get_bind().dialect.name == "sqlite":
        # SQLite changes a table by making it anew, and drops none that rows of another refer to.
        rows = op.get_bind().execute(sa.text("SELECT * FROM activations")).mappings().all()
        op.drop_table("activations")
        _bundles()
        op.bulk_insert(_activations(), [dict(row) for row in rows])
    else:
        _bundles()
        for column in _activation_columns():
            op.add_column("activations", column)
    op.execute(_KEEP_ONE)
    op.execute(_UPLOADED_BY)
    _one_version_of_an_identity()
    _events()
    _fleet()


def _bundles() -> None:
    # Bytes last: SQLite would read through them to what comes after.
    last = ("key_id", "uploaded_by", "warnings", "removed_at", "bytes")
    with op.batch_alter_table("bundles", partial_reordering=[last]) as batch:
        batch.drop_constraint("uq_bundles_checksum", type_="unique")
        batch.drop_index("ix_bundles_identity")
        batch.alter_column("bytes", existing_type=sa.LargeBinary, nullable=True)
        batch.add_column(sa.Column("key_id", sa.Text))
        batch.add_column(sa.Column("uploaded_by", sa.Text, nullable=False, server_default=""))
        batch.add_column(sa.Column("warnings", sa.JSON, nullable=False, server_default="[]"))
        batch.add_column(sa.Column("removed_at", _TIME))
    op.create_index("ix_bundles_checksum", "bundles", ["checksum"])


def _one_version_of_an_identity() -> None:
    kept = sa.text("removed_at IS NULL")
    op.create_index(
        "uq_bundles_kept_identity",
        "bundles",
        ["identity"],
        unique=True,
        sqlite_where=kept,
        postgresql_where=kept,
    )


def _activation_columns() -> list[sa.Column[str]]:
    return [
        sa.Column("kind", sa.Text, nullable=False, server_default="bundle.activated"),
        sa.Column("api_key_id", _UUID),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
    ]


def _activations() -> sa.Table:
    table = op.create_table(
        "activations",
        sa.Column("generation", _NUMBER, autoincrement=True),
        sa.Column("bundle_id", _UUID, nullable=False),
        sa.Column("activated_at", _TIME, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        *_activation_columns(),
        sa.PrimaryKeyConstraint("generation", name="pk_activations"),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name="fk_activations_bundle_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_activations_bundle_id", "activations", ["bundle_id"])
    return table


def _events() -> None:
    op.create_table(
        "bundle_events",
        sa.Column("id", _NUMBER, autoincrement=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("api_key_id", _UUID),
        sa.Column("key_id", sa.Text),
        sa.Column("bundle_id", _UUID),
        sa.Column("from_bundle_id", _UUID),
        sa.Column("from_generation", sa.BigInteger),
        sa.Column("generation", sa.BigInteger),
        sa.Column("version", sa.Text),
        sa.Column("checksum", sa.String(64)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("findings", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bundle_events"),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name="fk_bundle_events_bundle_id"),
        sa.ForeignKeyConstraint(
            ["from_bundle_id"], ["bundles.id"], name="fk_bundle_events_from_bundle_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_bundle_events_bundle_id", "bundle_events", ["bundle_id"])


def _fleet() -> None:
    op.create_table(
        "activation_proposals",
        sa.Column("id", _NUMBER, autoincrement=True),
        sa.Column("bundle_id", _UUID, nullable=False),
        sa.Column("opened_us", sa.BigInteger, nullable=False),
        sa.Column("lease_ends_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_activation_proposals"),
        sa.ForeignKeyConstraint(
            ["bundle_id"], ["bundles.id"], name="fk_activation_proposals_bundle_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workers",
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("node_id", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("checksum", sa.String(64)),
        sa.Column("prepared", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("error_at", _TIME),
        sa.Column("loaded_at", _TIME),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name="pk_workers"),
        # No write-ahead log for what every worker says anew twice a second.
        prefixes=["UNLOGGED"] if op.get_bind().dialect.name == "postgresql" else [],
    )
