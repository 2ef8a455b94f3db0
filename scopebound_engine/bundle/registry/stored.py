"""Stored bundles, as the tables know them: each function reads in its caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, case, exists, func, select

from scopebound_engine.bundle.format.version import Version
from scopebound_engine.bundle.registry import events
from scopebound_engine.database.schema import activations, bundles
from scopebound_engine.errors import Finding, NotFoundError


@dataclass(frozen=True, slots=True)
class BundleVersion:
    """A stored bundle. `bundle_path` is relative to the data folder.

    `key_id` is the signer's, "" where it was stored before that was noted. `activated_at` is its
    last activation, `generation` that in which it is in force now.
    """

    id: str
    name: str
    version: str
    checksum: str
    identity: str
    key_id: str
    bundle_path: str
    description: str
    uploaded_at: datetime
    uploaded_by: str
    warnings: tuple[Finding, ...]
    activated_at: datetime | None
    generation: int | None

    @property
    def is_active(self) -> bool:
        """Whether it is in force."""
        return self.generation is not None


def generation(connection: Connection) -> int:
    """The generation in force; 0 before the first activation."""
    return connection.execute(select(_IN_FORCE)).scalar_one() or 0


def active(connection: Connection) -> BundleVersion | None:
    """The version in force."""
    return _first(connection, _VERSIONS.where(bundles.c.id == _ACTIVE_ID))


def way_back(connection: Connection) -> BundleVersion | None:
    """The kept version that was in force last before the one that is."""
    former = _KEPT.where(activations.c.generation < _IN_FORCE)
    return _first(connection, former.order_by(activations.c.generation.desc()))


def kept(connection: Connection) -> list[BundleVersion]:
    """The versions that are kept, newest upload first."""
    rows = connection.execute(_KEPT.order_by(bundles.c.uploaded_at.desc()))
    return [_version(row) for row in rows]


def require(connection: Connection, bundle_id: str) -> BundleVersion:
    """The kept version of this id. Raises NotFoundError."""
    found = _first(connection, _KEPT.where(bundles.c.id == bundle_id.lower()))
    if found is None:
        raise NotFoundError(
            f"there is no bundle with the id {bundle_id}, or it was removed; "
            "GET /mgmt/v1/bundles lists those that are kept"
        )
    return found


def find(connection: Connection, digest: str) -> BundleVersion | None:
    """The kept version of this identity or checksum, of which there is at most one."""
    same = (bundles.c.identity == digest) | (bundles.c.checksum == digest)
    return _first(connection, _KEPT.where(same))


def data(connection: Connection, bundle_id: str) -> bytes:
    """The bytes of a kept version, unchecked. Raises NotFoundError."""
    version = require(connection, bundle_id)
    query = select(bundles.c.bytes).where(bundles.c.id == version.id)
    return bytes(connection.execute(query).scalar_one())


def data_of(connection: Connection, checksum: str) -> bytes:
    """The bytes of this checksum, unchecked; also of a removed version. Raises NotFoundError."""
    query = select(bundles.c.bytes).where(bundles.c.checksum == checksum)
    data = connection.execute(query.where(bundles.c.bytes.is_not(None)).limit(1)).scalar()
    if data is None:
        raise NotFoundError(
            f"there are no bytes of a bundle with the checksum {checksum}; a removed version keeps "
            "them as long as a record of the decision log names it"
        )
    return bytes(data)


def was_in_force(connection: Connection, identity: str) -> bool:
    """Whether a version of this identity ever was, removed ones included."""
    of_it = activations.select().join(bundles).where(bundles.c.identity == identity)
    return bool(connection.execute(select(exists(of_it))).scalar_one())


def highest_activated(connection: Connection) -> BundleVersion | None:
    """The highest version that was ever in force, removed ones too; of equal ones the last."""
    ever = select(bundles.c.id, bundles.c.version).join_from(bundles, activations)
    ever = ever.group_by(bundles.c.id).order_by(func.max(activations.c.generation).desc())
    highest = max(
        connection.execute(ever), key=lambda row: Version.parse(row.version), default=None
    )
    return highest and _first(connection, _VERSIONS.where(bundles.c.id == highest.id))


_ALL: Final = activations.alias("all_activations")
_IN_FORCE: Final = select(func.max(_ALL.c.generation)).scalar_subquery()
_ACTIVE_ID: Final = (
    select(_ALL.c.bundle_id).order_by(_ALL.c.generation.desc()).limit(1).scalar_subquery()
)
_LAST: Final = (
    select(func.max(_ALL.c.generation))
    .where(_ALL.c.bundle_id == bundles.c.id)
    .correlate(bundles)
    .scalar_subquery()
)
# Without the bytes, which may be megabytes.
_VERSIONS: Final[Select[Any]] = select(
    *(column for column in bundles.c if column is not bundles.c.bytes),
    activations.c.activated_at,
    case((activations.c.generation == _IN_FORCE, activations.c.generation)).label("generation"),
).join_from(bundles, activations, activations.c.generation == _LAST, isouter=True)
_KEPT: Final = _VERSIONS.where(bundles.c.removed_at.is_(None))


def _first(connection: Connection, query: Select[Any]) -> BundleVersion | None:
    row = connection.execute(query).first()
    return None if row is None else _version(row)


def _version(row: Row[Any]) -> BundleVersion:
    fields = row._asdict()
    del fields["removed_at"]
    fields |= {"key_id": row.key_id or "", "warnings": events.from_json(row.warnings)}
    return BundleVersion(**fields)
