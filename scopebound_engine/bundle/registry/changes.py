"""Every change of stored bundles, together with the event that records it.

Each function works in its caller's transaction, which must be the only one that changes bundles.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, exists, func, insert, select, type_coerce, update

from scopebound_engine.bundle.registry import events, stored
from scopebound_engine.bundle.registry.events import About, Actor, EventKind
from scopebound_engine.bundle.registry.stored import BundleVersion
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.database.schema import Timestamp, activations, bundle_uses, bundles
from scopebound_engine.errors import Finding

ActivationKind = Literal["bundle.activated", "bundle.rolled_back"]

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes, what they were verified to be, and what is said of them."""

    data: bytes
    verified: VerifiedBundle
    description: str
    warnings: tuple[Finding, ...]


def add(
    connection: Connection, bundle_id: str, upload: Upload, actor: Actor, now: datetime
) -> BundleVersion:
    """Store a new version."""
    manifest, uploaded_at = upload.verified.manifest, _later_than_all(connection, now)
    row = {
        "id": bundle_id,
        "name": manifest.name,
        "version": manifest.version,
        "checksum": upload.verified.checksum,
        "identity": upload.verified.identity,
        "key_id": upload.verified.key_id,
        "bundle_path": _free_path(connection, uploaded_at),
        "description": upload.description,
        "uploaded_at": uploaded_at,
        "uploaded_by": actor.name,
        "warnings": events.to_json(upload.warnings),
        "bytes": upload.data,
    }
    connection.execute(insert(bundles).values(row))
    version = stored.require(connection, bundle_id)
    events.add(connection, "bundle.uploaded", actor, now, _about(version))
    return version


def activate(
    connection: Connection,
    version: BundleVersion,
    actor: Actor,
    now: datetime,
    kind: ActivationKind,
    reason: str,
) -> BundleVersion:
    """Put a kept version in force, in a new generation."""
    former = replaced(connection)
    row = {
        "bundle_id": version.id,
        "activated_at": now,
        "kind": kind,
        "actor": actor.name,
        "api_key_id": actor.api_key_id,
        "reason": reason,
    }
    connection.execute(insert(activations).values(row))
    version = stored.require(connection, version.id)
    about = _about(version) | former | {"reason": reason}
    events.add(connection, kind, actor, now, about)
    return version


def remove(
    connection: Connection, version: BundleVersion, actor: Actor, now: datetime, kind: EventKind
) -> None:
    """Keep a version no more: its row stays.

    Its bytes stay too where it was in force, for the decision log may name it; see `let_go`.
    """
    row = update(bundles).where(bundles.c.id == version.id).values(removed_at=now)
    connection.execute(row if version.activated_at else row.values(bytes=None))
    events.add(connection, kind, actor, now, _about(version))


def let_go(connection: Connection, before: datetime) -> int:
    """Forget the bytes of versions that were removed, and named by records, before then only.

    The number of those versions.
    """
    named = bundle_uses.select().where(
        bundle_uses.c.checksum == bundles.c.checksum,
        bundle_uses.c.last_us >= type_coerce(before, Timestamp),
    )
    spare = update(bundles).where(
        bundles.c.removed_at < before, bundles.c.bytes.is_not(None), ~exists(named)
    )
    gone = connection.execute(spare.values(bytes=None).returning(bundles.c.id))
    return len(gone.all())


def prune(connection: Connection, most: int, actor: Actor, now: datetime) -> None:
    """Keep so many versions at most.

    First go those that were never in force, eldest upload first, but the newest; then those that
    were, eldest activation first. The one in force and the way back from it stay.
    """
    kept, back = stored.kept(connection), stored.way_back(connection)
    spare = [version for version in kept[1:] if not version.is_active and version != back]
    spare.sort(key=lambda version: (version.activated_at or _NEVER, version.uploaded_at))
    for version in spare[: max(0, len(kept) - most)]:
        remove(connection, version, actor, now, "bundle.pruned")


def replaced(connection: Connection) -> About:
    """What is in force now, as an event that comes after it tells."""
    active = stored.active(connection)
    if active is None:
        return {}
    return {"from_bundle_id": active.id, "from_generation": active.generation}


def _about(version: BundleVersion) -> About:
    return {
        "key_id": version.key_id,
        "bundle_id": version.id,
        "generation": version.generation,
        "version": version.version,
        "checksum": version.checksum,
    }


def _later_than_all(connection: Connection, now: datetime) -> datetime:
    """Now, or just after the last upload: nodes' clocks differ, the order of uploads does not."""
    last = connection.execute(select(func.max(bundles.c.uploaded_at))).scalar_one()
    return now if last is None else max(now, last + timedelta(microseconds=1))


def _free_path(connection: Connection, uploaded_at: datetime) -> str:
    """The path names a second; where that is taken, the next free one."""
    while True:
        path = f"bundle-history/bundle-{uploaded_at:%Y%m%d-%H%M%S}.tar.gz"
        taken = select(exists(bundles.select().where(bundles.c.bundle_path == path)))
        if not connection.execute(taken).scalar_one():
            return path
        uploaded_at += timedelta(seconds=1)
