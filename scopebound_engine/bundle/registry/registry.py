"""Which bundles there are and which is in force: each activation is a new generation.

A version is immutable: its bytes are stored once and at most removed, those of a version that was
in force not before the decision log has forgotten it. Of one identity at most one
version is kept. Whatever writes runs alone, on all nodes, so that uploads, activations and
removals have one order.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine

from scopebound_engine.bundle.registry import admission, changes, events, stored
from scopebound_engine.bundle.registry.admission import Admission
from scopebound_engine.bundle.registry.changes import ActivationKind, Upload
from scopebound_engine.bundle.registry.events import About, Actor, Event, EventKind
from scopebound_engine.bundle.registry.stored import BundleVersion
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.errors import ConflictError, Finding, ForbiddenError
from scopebound_engine.times import moment

__all__ = [
    "RETAINED",
    "ActivationKind",
    "Actor",
    "Admission",
    "BundleVersion",
    "Event",
    "EventKind",
    "Registry",
]

RETAINED: Final = 10
_ENGINE: Final = Actor("engine")


class Registry:
    """Bundles in the database. Every method raises DatabaseUnavailableError when it is away."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._engine, self._clock, self._new_id = engine, clock, new_id
        self._writing = threading.Lock()

    def generation(self) -> int:
        """The generation in force; 0 before the first activation."""
        with reading(self._engine) as connection:
            return stored.generation(connection)

    def active(self) -> BundleVersion | None:
        """The version in force; None before the first activation."""
        with reading(self._engine) as connection:
            return stored.active(connection)

    def versions(self) -> list[BundleVersion]:
        """The versions that are kept, newest upload first."""
        with reading(self._engine) as connection:
            return stored.kept(connection)

    def get(self, bundle_id: str) -> BundleVersion:
        """The kept version of this id. Raises NotFoundError."""
        with reading(self._engine) as connection:
            return stored.require(connection, bundle_id)

    def data(self, bundle_id: str) -> bytes:
        """The bytes of a kept version as they are stored, unchecked. Raises NotFoundError."""
        with reading(self._engine) as connection:
            return stored.data(connection, bundle_id)

    def data_of(self, checksum: str) -> bytes:
        """The bytes of this checksum, unchecked; also of a removed version. Raises NotFoundError.

        They are there as long as a record of the decision log names the checksum.
        """
        with reading(self._engine) as connection:
            return stored.data_of(connection, checksum)

    def find(self, digest: str) -> BundleVersion | None:
        """The kept version of this identity or checksum."""
        with reading(self._engine) as connection:
            return stored.find(connection, digest)

    def highest_activated(self) -> BundleVersion | None:
        """The highest version that was ever in force, removed ones too."""
        with reading(self._engine) as connection:
            return stored.highest_activated(connection)

    def events(
        self, *, limit: int = 100, before: int | None = None, bundle_id: str | None = None
    ) -> list[Event]:
        """So many events, newest first: those with an id below `before`, those of one bundle."""
        with reading(self._engine) as connection:
            return events.latest(connection, limit, before, bundle_id)

    def admit(self, verified: VerifiedBundle) -> Admission:
        """What an upload of the bundle would be. Raises ConflictError, see `admission.admit`."""
        with reading(self._engine) as connection:
            return admission.admit(connection, verified)[0]

    def store(
        self,
        data: bytes,
        verified: VerifiedBundle,
        *,
        description: str,
        actor: Actor,
        warnings: Sequence[Finding] = (),
    ) -> BundleVersion:
        """The version of these bytes, which are those of `verified`; new unless it is kept.

        Versions beyond RETAINED are pruned, see `changes.prune`. Raises ConflictError as `admit`
        does.
        """
        with self._alone(actor) as (connection, now):
            _, same = admission.admit(connection, verified)
            if same is not None:
                return same
            upload = Upload(data, verified, description, tuple(warnings))
            version = changes.add(connection, self._new_id(), upload, actor, now)
            changes.prune(connection, RETAINED, actor, now)
            return version

    def activate(
        self,
        bundle_id: str,
        *,
        actor: Actor,
        kind: ActivationKind = "bundle.activated",
        reason: str = "",
        if_none: bool = False,
    ) -> BundleVersion:
        """Put a kept version in force, in a new generation; what is in force already stays so.

        With `if_none` whichever is in force stays so and is answered. Raises NotFoundError, and
        ConflictError for a version lower than one that was in force, unless it is rolled back to.
        """
        with self._alone(actor) as (connection, now):
            former = stored.active(connection)
            if former is not None and (if_none or former.id == bundle_id.lower()):
                return former
            version = stored.require(connection, bundle_id)
            if kind != "bundle.rolled_back":
                admission.require_not_lower(connection, version.version)
            return changes.activate(connection, version, actor, now, kind, reason)

    def remove(
        self, bundle_id: str, *, actor: Actor, may_take_way_back: bool = True
    ) -> BundleVersion:
        """The version that was; activations and events keep naming it, see also `let_go`.

        Raises NotFoundError, ConflictError for the one in force, and ForbiddenError for the one
        that was in force last before it, unless that may be taken.
        """
        with self._alone(actor) as (connection, now):
            version = stored.require(connection, bundle_id)
            if version.is_active:
                raise ConflictError(
                    f"the bundle {version.id} (version {version.version}) is in force; "
                    "put another one in force first, then delete it"
                )
            if not may_take_way_back and version == stored.way_back(connection):
                raise ForbiddenError(
                    f"the bundle {version.id} (version {version.version}) is the way back from the "
                    "one in force; to delete it takes the scope rollback too"
                )
            changes.remove(connection, version, actor, now, "bundle.deleted")
            return version

    def let_go(self, before: datetime) -> int:
        """Forget the bytes of removed versions; see `changes.let_go`."""
        with self._alone() as (connection, _):
            return changes.let_go(connection, before)

    def note(
        self,
        kind: EventKind,
        *,
        actor: Actor,
        reason: str = "",
        findings: Sequence[Finding] = (),
        bundle_id: str | None = None,
        **digests: str | None,
    ) -> Event:
        """Record what changes nothing here, such as an acknowledgement.

        `bundle_id` is of a version that is or was kept; `digests` are what else is known of it:
        version, checksum, key_id.
        """
        with self._alone(actor) as (connection, now):
            about = _about(connection, reason, bundle_id, **digests)
            return events.add(connection, kind, actor, now, about, findings)

    def refused(
        self, *, actor: Actor, reason: str, findings: Sequence[Finding] = (), **bundle: str | None
    ) -> Event:
        """Record that a bundle was refused, see `events.add_refusal`; `bundle` as for `note`."""
        with self._alone(actor) as (connection, now):
            about = _about(connection, reason, **bundle)
            return events.add_refusal(connection, actor, now, about, findings)

    @contextmanager
    def _alone(self, actor: Actor = _ENGINE) -> Iterator[tuple[Connection, datetime]]:
        """The one transaction that writes, and when it does; the actor's witness learns of it."""
        # The threads of a process wait here, where none takes a connection from the others.
        with self._writing, transaction(self._engine, lock="bundles") as connection:
            last = events.last_id(connection)
            yield connection, moment(self._clock())
            happened = events.after(connection, last)
        for event in happened:
            actor.witness(event)


def _about(
    connection: Connection, reason: str, bundle_id: str | None = None, **digests: str | None
) -> About:
    """What is noted of a bundle, and what is in force meanwhile."""
    named = {"reason": reason, "bundle_id": bundle_id and bundle_id.lower()}
    return {**named, **digests, **changes.replaced(connection)}
