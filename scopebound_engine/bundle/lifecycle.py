"""The life of a bundle: uploaded, tried, put in force, rolled back to, removed.

A bundle is refused before it changes anything: its bytes, its signature and its manifest are
checked first, then whether it may follow the one in force, then everything the gate checks. Each
refusal is an event that names its actor. The order of changes is that of the registry.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from scopebound_engine.bundle.activation import Activator, Convergence
from scopebound_engine.bundle.diff import Diff, compare
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.lanes import Lanes
from scopebound_engine.bundle.refusals import FLOOR, note_acknowledged, recorded
from scopebound_engine.bundle.registry.history import History
from scopebound_engine.bundle.registry.registry import (
    ActivationKind,
    Actor,
    Admission,
    BundleVersion,
    Event,
    Registry,
)
from scopebound_engine.bundle.signature import VerifiedBundle, verify
from scopebound_engine.bundle.trust.keys import TrustedKeys
from scopebound_engine.errors import (
    BusyError,
    ConflictError,
    Finding,
    NotFoundError,
)
from scopebound_engine.times import moment

# So long, and while it is put in force, an upload keeps others waiting in its lane.
_GATE_SECONDS: Final = 40.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a version. `convergence` is None where it was stored and not activated."""

    version: BundleVersion
    unchanged: bool
    warnings: tuple[Finding, ...]
    convergence: Convergence | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What an upload would do, with every check made and nothing stored."""

    outcome: Literal["activate", "store", "unchanged"]
    bundle: VerifiedBundle
    warnings: tuple[Finding, ...]


# A further check of an upload's bytes, once its signature is believed: warnings, or BundleError.
Demand = Callable[[bytes], tuple[Finding, ...]]


def nothing(_data: bytes) -> tuple[Finding, ...]:
    """Demands nothing."""
    return ()


class Bundles:
    """The bundles of this service, as they are managed. Safe for use by many threads.

    Every method raises NotFoundError for an id that is not kept, and DatabaseUnavailableError.
    Those that change something raise BundleError or ConflictError with findings, BusyError when
    others are under way for too long, ActivationError when a worker cannot run the bundle.
    """

    def __init__(
        self,
        registry: Registry,
        activator: Activator,
        history: History,
        trusted: Callable[[], TrustedKeys],
        lanes: Lanes,
        clock: Callable[[], float],
    ) -> None:
        """`trusted` reads the keys anew, which may change; `clock` gives epoch seconds."""
        self._registry, self._activator, self._history = registry, activator, history
        self._trusted, self._lanes, self._clock = trusted, lanes, clock

    def upload(
        self,
        data: bytes,
        *,
        description: str,
        actor: Actor,
        activate: bool = True,
        acknowledge_floor: bool = False,
        demand: Demand = nothing,
    ) -> Outcome:
        """Check and store a bundle, and unless told otherwise put it in force.

        `demand` may take its time: it keeps nobody else waiting.

        The bundle in force again is unchanged, and a version that was stored and never activated is
        found again: whoever lost the answer may send the same bytes once more.
        """
        with recorded(self._registry, actor, checksum=hashlib.sha256(data).hexdigest()) as known:
            bundle = self._verify(data)
            known |= {"version": bundle.manifest.version, "key_id": bundle.key_id}
            if self._admit(bundle) == "unchanged":
                return self._unchanged(bundle.identity)
            told = demand(data)
            with self._lanes.uploads():
                # Whoever was before us in the lane may have changed the answer.
                if self._admit(bundle) == "unchanged":
                    return self._unchanged(bundle.identity)
                warnings = told + _judged(bundle, acknowledge_floor)
                # Before it is stored: where this cannot be recorded, nothing is.
                note_acknowledged(self._registry, warnings, actor, known)
                version = self._registry.store(
                    data, bundle, description=description, actor=actor, warnings=warnings
                )
                if not activate:
                    return Outcome(version, False, warnings, None)
                try:
                    return self._put_in_force(version, warnings, actor)
                except NotFoundError as gone:
                    message = "others removed the version before it came in force; send it again"
                    raise BusyError(message, 1) from gone

    def try_out(
        self,
        data: bytes,
        *,
        activate: bool = True,
        acknowledge_floor: bool = False,
        demand: Demand = nothing,
    ) -> Trial:
        """Make every check of an upload, and store and record nothing."""
        bundle = self._verify(data)
        if self._admit(bundle) == "unchanged":
            return Trial("unchanged", bundle, ())
        told = demand(data)
        with self._lanes.uploads():
            warnings = told + _judged(bundle, acknowledge_floor)
        return Trial("activate" if activate else "store", bundle, warnings)

    def activate(self, bundle_id: str, *, actor: Actor) -> Outcome:
        """Put a version in force that was stored and never activated."""
        with self._changing(bundle_id, actor, self._lanes.uploads()) as version:
            bundle = self._verified(version)
            if self._registry.admit(bundle) == "unchanged":
                return self._unchanged(bundle.identity)
            return self._put_in_force(version, self._passed(version, bundle), actor)

    def rollback(self, bundle_id: str, *, actor: Actor, reason: str = "") -> Outcome:
        """Put a version in force again, verified like an upload: its key may be trusted no more."""
        with self._changing(bundle_id, actor, self._lanes.rollbacks()) as version:
            if version.is_active:
                return self._unchanged(version.identity)
            if version.activated_at is None:
                raise ConflictError(
                    "the version was never in force, so there is no way back to it; "
                    f"POST /mgmt/v1/bundles/{version.id}/activate puts it in force"
                )
            warnings = self._passed(version, self._verified(version))
            return self._put_in_force(version, warnings, actor, "bundle.rolled_back", reason)

    def remove(self, bundle_id: str, *, actor: Actor, may_take_way_back: bool) -> BundleVersion:
        """Forget a version and its bytes.

        Raises ConflictError for the one in force, ForbiddenError for the way back from it.
        """
        return self._registry.remove(bundle_id, actor=actor, may_take_way_back=may_take_way_back)

    def versions(self) -> list[BundleVersion]:
        """The versions that are kept, newest upload first."""
        return self._registry.versions()

    def events(
        self, *, limit: int, before: int | None = None, bundle_id: str | None = None
    ) -> list[Event]:
        """What happened to one bundle or to all, newest first; ids are below `before`."""
        return self._registry.events(limit=limit, before=before, bundle_id=bundle_id)

    def load(self, bundle_id: str) -> tuple[BundleVersion, bytes]:
        """A version and its exact bytes. Raises BundleError where they are damaged everywhere."""
        version = self._registry.get(bundle_id)
        return version, self._history.load(version, lambda: self._registry.data(bundle_id))

    def compare(self, old_id: str, new_id: str) -> tuple[BundleVersion, BundleVersion, Diff]:
        """What changed from one version to another."""
        (old, before), (new, after) = self.load(old_id), self.load(new_id)
        return old, new, compare(archive.read(before), archive.read(after))

    def _admit(self, bundle: VerifiedBundle) -> Admission:
        """What an upload would be. Raises ConflictError, also for what cannot be served as kept.

        The same files are no new version, so a signature by another key changes nothing.
        """
        admission = self._registry.admit(bundle)
        kept = self._registry.find(bundle.identity) if admission != "new" else None
        signer = kept.key_id if kept is not None else ""
        if kept is None or not signer or signer == bundle.key_id:
            return admission
        if self._trusted().alarm(signer, moment(self._clock())) is None:
            return admission
        message = (
            f"the same files are kept as {kept.id} (version {kept.version}), signed with the key "
            f"{signer}, which is not valid any more"
        )
        remedy = "give them a higher version and sign them anew"
        raise ConflictError(f"{message}; {remedy}", [Finding("version", message, remedy=remedy)])

    def _unchanged(self, identity: str) -> Outcome:
        version = self._registry.active()
        if version is None or version.identity != identity:
            raise BusyError("another version came in force in this moment; try again", 1)
        convergence = self._activator.settle(version.generation or 0)
        return Outcome(version, True, version.warnings, convergence)

    def _put_in_force(
        self,
        version: BundleVersion,
        warnings: tuple[Finding, ...],
        actor: Actor,
        kind: ActivationKind = "bundle.activated",
        reason: str = "",
    ) -> Outcome:
        activated, convergence = self._activator.activate(
            version.id, actor=actor, kind=kind, reason=reason
        )
        return Outcome(activated, False, warnings, convergence)

    def _verify(self, data: bytes) -> VerifiedBundle:
        return verify(data, self._trusted(), at=moment(self._clock()))

    def _verified(self, version: BundleVersion) -> VerifiedBundle:
        _, data = self.load(version.id)
        return self._verify(data)

    def _passed(self, version: BundleVersion, bundle: VerifiedBundle) -> tuple[Finding, ...]:
        # What the floor says of a stored version was acknowledged, or it would not be stored.
        acknowledged = any(warning.step == FLOOR for warning in version.warnings)
        # It passed before, in less time than it has here: a busy node keeps nobody from a rollback.
        return gate.require(bundle, acknowledge_floor=acknowledged).warnings

    @contextmanager
    def _changing(
        self, bundle_id: str, actor: Actor, lane: AbstractContextManager[None]
    ) -> Iterator[BundleVersion]:
        """The version as it is once nobody else in the lane changes it."""
        self._registry.get(bundle_id)  # a wrong id is told at once
        with lane:
            version = self._registry.get(bundle_id)
            known = {
                "bundle_id": version.id,
                "version": version.version,
                "checksum": version.checksum,
                "key_id": version.key_id,
            }
            with recorded(self._registry, actor, **known):
                yield version


def _judged(bundle: VerifiedBundle, acknowledge_floor: bool) -> tuple[Finding, ...]:
    """The gate's warnings about the bundle. Raises GateError."""
    report = gate.require(bundle, acknowledge_floor=acknowledge_floor, seconds=_GATE_SECONDS)
    return report.warnings
