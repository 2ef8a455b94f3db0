"""Roles, API keys, signing keys, bundles and their activations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_UUID = sa.String(36)
# Microseconds since the epoch, UTC.
_TIME = sa.BigInteger


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    op.create_table(
        "roles",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("parent_id", _UUID),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_roles"),
        sa.UniqueConstraint("name", name="uq_roles_name"),
        sa.ForeignKeyConstraint(["parent_id"], ["roles.id"], name="fk_roles_parent_id"),
    )
    op.create_index("ix_roles_parent_id", "roles", ["parent_id"])
    op.create_table(
        "api_keys",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("name", name="uq_api_keys_name"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(43), nullable=False),
        sa.Column("public_pem", sa.Text, nullable=False),
        sa.Column("not_before", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    _bundles()


def _bundles() -> None:
    op.create_table(
        "bundles",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("checksum", sa.String(64), nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("bundle_path", sa.String(128), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("uploaded_at", _TIME, nullable=False),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bundles"),
        sa.UniqueConstraint("checksum", name="uq_bundles_checksum"),
        sa.UniqueConstraint("bundle_path", name="uq_bundles_bundle_path"),
    )
    op.create_index("ix_bundles_identity", "bundles", ["identity"])
    op.create_table(
        "activations",
        sa.Column(
            "generation", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True
        ),
        sa.Column("bundle_id", _UUID, nullable=False),
        sa.Column("activated_at", _TIME, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("generation", name="pk_activations"),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name="fk_activations_bundle_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_activations_bundle_id", "activations", ["bundle_id"])
