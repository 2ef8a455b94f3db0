"""Putting a bundle in force everywhere: prepare on every worker, then commit, then see who runs it.

The order is that of a two-phase commit without its weakness. Workers start and warm the candidate's
evaluators while the former bundle decides; one row in the registry then flips. A worker that was
not ready by then holds nobody up: it learns of the flip with its next call, and loads the bundle
within that call's deadline or denies (see `decision/follower.py`). Every wait here is bounded.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import structlog

from scopebound_engine.bundle.registry.fleet import Fleet, Proposal, WorkerReport
from scopebound_engine.bundle.registry.registry import (
    ActivationKind,
    Actor,
    BundleVersion,
    Registry,
)
from scopebound_engine.errors import ActivationError, BusyError, DatabaseUnavailableError

log = structlog.get_logger()

POLL_SECONDS: Final = 0.025


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each wait may take, in seconds.

    `lease` outlives the way from proposal to commit; it is what others wait for where the process
    that activates is killed. `prepare` suffices for most of the largest bundles that the gate lets
    through, and is spent on workers that report, twice a second, that they are not ready. One that
    said nothing for `silence` is not waited for.
    """

    turn: float = 60.0
    lease: float = 10.0
    prepare: float = 6.0
    converge: float = 3.0
    silence: float = 2.0


@dataclass(frozen=True, slots=True)
class Convergence:
    """Which workers run a generation, or a newer one, `seconds` after its activation began.

    `expected` counts the workers that were alive meanwhile and did not leave, `laggards` are those
    of them that do not run it. Without any worker nothing has converged.
    """

    converged: bool
    expected: int
    running: int
    laggards: tuple[WorkerReport, ...]
    seconds: float


class Activator:
    """Activates one bundle at a time, on all nodes. Safe for use by many threads."""

    def __init__(self, registry: Registry, fleet: Fleet, patience: Patience = Patience()) -> None:
        self._registry, self._fleet, self._patience = registry, fleet, patience

    def activate(
        self,
        bundle_id: str,
        *,
        actor: Actor,
        kind: ActivationKind = "bundle.activated",
        reason: str = "",
    ) -> tuple[BundleVersion, Convergence]:
        """Put a stored bundle in force and wait until it is everywhere.

        Raises BusyError when no turn comes, ActivationError when a worker that runs the bundle in
        force cannot run this one, or none can, ConflictError, NotFoundError,
        DatabaseUnavailableError; the bundle in force then stays so.
        """
        with self._turn(bundle_id) as proposal:
            watch, began = _Watch(self._fleet, self._patience.silence), time.monotonic()
            self._prepare(proposal, watch)
            self._require_turn(proposal)
            prepared = time.monotonic()
            version = self._registry.activate(bundle_id, actor=actor, kind=kind, reason=reason)
            committed = time.monotonic()
            convergence = self._converge(version.generation or 0, watch, began)
        log.info(
            "bundle in force",
            bundle_id=bundle_id,
            version=version.version,
            generation=version.generation,
            prepare_seconds=round(prepared - began, 3),
            commit_seconds=round(committed - prepared, 3),
            converge_seconds=round(began + convergence.seconds - committed, 3),
            laggards=[_named(report) for report in convergence.laggards],
        )
        return version, convergence

    def settle(self, generation: int) -> Convergence:
        """Wait until every live worker runs this generation, as `activate` does."""
        watch = _Watch(self._fleet, self._patience.silence)
        return self._converge(generation, watch, time.monotonic())

    @contextmanager
    def _turn(self, bundle_id: str) -> Iterator[Proposal]:
        """One proposal is open at a time; the others' coordinators wait for the next turn."""
        deadline = time.monotonic() + self._patience.turn
        while (proposal := self._propose(bundle_id)) is None:
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"other activations went on for {self._patience.turn:.0f} s; try again",
                    retry_after_seconds=int(self._patience.lease),
                )
            time.sleep(POLL_SECONDS)
        try:
            yield proposal
        finally:
            # Where the database is away the lease ends the turn instead.
            with suppress(DatabaseUnavailableError):
                self._fleet.withdraw(proposal.id)

    def _propose(self, bundle_id: str) -> Proposal | None:
        return self._fleet.propose(bundle_id, lease_seconds=self._patience.lease)

    def _prepare(self, proposal: Proposal, watch: "_Watch") -> None:
        in_force = self._registry.generation()
        deadline = time.monotonic() + self._patience.prepare
        while True:
            live = [report for report in watch.look() if watch.is_live(report)]
            failed = [report for report in live if report.failed == proposal.id]
            vetoes = failed if len(failed) == len(live) else _sound(failed, in_force)
            if vetoes:
                self._registry.get(proposal.bundle_id)  # removed meanwhile, it is told as such
                raise ActivationError(
                    f"{_named(vetoes[0])} cannot run the bundle, which therefore takes no effect: "
                    f"{vetoes[0].error}"
                )
            answers = {report.prepared for report in live if report not in failed}
            if answers <= {proposal.id} or time.monotonic() >= deadline:
                return
            time.sleep(POLL_SECONDS)

    def _require_turn(self, proposal: Proposal) -> None:
        # This process may have stood still for longer than its lease, and another's turn have come.
        if self._fleet.look().proposal != proposal:
            raise BusyError(
                "the workers took so long to prepare the bundle that the turn to activate it was "
                "over; try again",
                retry_after_seconds=int(self._patience.lease),
            )

    def _converge(self, generation: int, watch: "_Watch", began: float) -> Convergence:
        deadline = time.monotonic() + self._patience.converge
        while True:
            members = watch.look()
            behind = tuple(report for report in members if report.generation < generation)
            awaited = any(map(watch.is_live, behind))
            if not awaited or time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)
        return Convergence(
            converged=bool(members) and not behind,
            expected=len(members),
            running=len(members) - len(behind),
            laggards=behind,
            seconds=time.monotonic() - began,
        )


class _Watch:
    """The workers that were alive at some time since the watch began, and did not leave."""

    def __init__(self, fleet: Fleet, silence: float) -> None:
        self._fleet, self._silence = fleet, silence
        self._seen: set[str] = set()

    def look(self) -> list[WorkerReport]:
        """Their reports as they are now."""
        reports = self._fleet.workers()
        self._seen |= {report.worker_id for report in reports if self.is_live(report)}
        return [report for report in reports if report.worker_id in self._seen]

    def is_live(self, report: WorkerReport) -> bool:
        """Whether the worker has been heard of lately."""
        return report.silent_seconds < self._silence


def _sound(reports: list[WorkerReport], in_force: int) -> list[WorkerReport]:
    """Those that run what is in force.

    The others deny every call as it is, for a fault of their own: they lose nothing by a bundle
    that they cannot run, and would keep all others from being rolled back.
    """
    return [report for report in reports if 0 < report.generation >= in_force]


def _named(report: WorkerReport) -> str:
    """A worker, for people."""
    return f"worker {report.pid} of node {report.node_id}"
