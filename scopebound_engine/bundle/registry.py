"""Which bundles there are and which is in force: each activation is a new generation."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, exists, insert, select

from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import activations, bundles
from scopebound_engine.times import moment

_LOCK: Final = "bundles"


@dataclass(frozen=True, slots=True)
class BundleVersion:
    """A stored bundle at one of its activations. `bundle_path` is relative to the data folder."""

    id: str
    generation: int
    name: str
    version: str
    checksum: str
    identity: str
    bundle_path: str
    description: str
    uploaded_at: datetime
    activated_at: datetime
    actor: str


class Registry:
    """Bundles in the database. Every method raises DatabaseUnavailableError when it is away."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._engine, self._clock, self._new_id = engine, clock, new_id

    def ever_activated(self) -> bool:
        """Whether any bundle was ever in force."""
        with reading(self._engine) as connection:
            return bool(connection.execute(select(exists(activations.select()))).scalar_one())

    def active(self) -> tuple[BundleVersion, bytes] | None:
        """The bundle in force and its bytes as received; None before the first activation."""
        with reading(self._engine) as connection:
            row = connection.execute(_ACTIVE).first()
        return None if row is None else (_version(row), row.bytes)

    def activate(
        self,
        data: bytes,
        verified: VerifiedBundle,
        *,
        description: str,
        actor: str,
        if_none: bool = False,
    ) -> BundleVersion:
        """Put a bundle in force: `verified` is what its bytes were verified to be.

        Bytes that are stored already are not stored again: their version gets a new generation.
        With `if_none` one that is in force stays so and is answered.
        """
        now = moment(self._clock())
        with transaction(self._engine, lock=_LOCK) as connection:
            active = connection.execute(_ACTIVE).first() if if_none else None
            if active is not None:
                return _version(active)
            same = select(bundles.c.id).where(bundles.c.checksum == verified.checksum)
            bundle_id = connection.execute(same).scalar_one_or_none()
            if bundle_id is None:
                bundle_id = self._new_id()
                row = {
                    "id": bundle_id,
                    "name": verified.manifest.name,
                    "version": str(verified.manifest.version),
                    "checksum": verified.checksum,
                    "identity": verified.identity,
                    "bundle_path": _free_path(connection, now),
                    "description": description,
                    "uploaded_at": now,
                    "bytes": data,
                }
                connection.execute(insert(bundles).values(row))
            connection.execute(
                insert(activations).values(bundle_id=bundle_id, activated_at=now, actor=actor)
            )
            return _version(connection.execute(_ACTIVE).one())


_ACTIVE: Final = (
    select(bundles, activations.c.generation, activations.c.activated_at, activations.c.actor)
    .join_from(activations, bundles)
    .order_by(activations.c.generation.desc())
    .limit(1)
)


def _version(row: Row[Any]) -> BundleVersion:
    return BundleVersion(
        id=row.id,
        generation=row.generation,
        name=row.name,
        version=row.version,
        checksum=row.checksum,
        identity=row.identity,
        bundle_path=row.bundle_path,
        description=row.description,
        uploaded_at=row.uploaded_at,
        activated_at=row.activated_at,
        actor=row.actor,
    )


def _free_path(connection: Connection, uploaded_at: datetime) -> str:
    """The path names a second; where that is taken, the next free one."""
    while True:
        path = f"bundle-history/bundle-{uploaded_at:%Y%m%d-%H%M%S}.tar.gz"
        taken = select(exists(bundles.select().where(bundles.c.bundle_path == path)))
        if not connection.execute(taken).scalar_one():
            return path
        uploaded_at += timedelta(seconds=1)
