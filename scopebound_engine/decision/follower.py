"""Follows, in each worker, which bundle is in force: prepares candidates, swaps, and reports.

A thread looks ten times a second at what is proposed and what is in force. It only hurries things
along: what makes an activation atomic is `at_least`. Every call knows the generation that was in
force when it entered, and is decided by that one or a newer one, or not at all.
"""

import atexit
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from scopebound_engine import baton
from scopebound_engine.bundle.registry.fleet import Fleet, Proposal, WorkerReport
from scopebound_engine.bundle.registry.history import History
from scopebound_engine.bundle.registry.registry import BundleVersion, Registry
from scopebound_engine.bundle.signature import verify
from scopebound_engine.bundle.trust.keys import TrustedKeys
from scopebound_engine.decision.active import ActiveBundle, BundleRef, Loaded
from scopebound_engine.decision.problems import Problems
from scopebound_engine.decision.reports import Reports
from scopebound_engine.decision.skew import Skew
from scopebound_engine.decision.watch import Watch
from scopebound_engine.errors import (
    BundleError,
    ConfigError,
    DatabaseUnavailableError,
    EngineError,
    EvaluationError,
    NotFoundError,
)
from scopebound_engine.times import moment

LOOK_SECONDS: Final = 0.1
# While a proposal is open its commit is near.
EAGER_SECONDS: Final = 0.02
RETRY_SECONDS: Final = 2.0
# What a call needs to be denied in time.
ANSWER_SECONDS: Final = 0.02
# So long a candidate stays warm that is proposed no more, and a refused one is named.
CANDIDATE_SECONDS: Final = 10.0
REFUSAL_SECONDS: Final = 60.0
_JOIN_SECONDS: Final = 2.0

# Whatever else loading a version raises is a fault of this program.
_UNFIT: Final = (BundleError, EngineError, ConfigError, NotFoundError)
_IN_FORCE: Final = "bundle in force"
_PROPOSED: Final = "proposed bundle"
_FOLLOWING: Final = "following"

log = structlog.get_logger()


class Follower:
    """Keeps the bundle of this process up with the one in force. Safe for many threads."""

    def __init__(
        self,
        active: ActiveBundle,
        registry: Registry,
        fleet: Fleet,
        history: History,
        trusted: Callable[[], TrustedKeys],
        *,
        node_id: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`trusted` reads the keys anew; `clock` gives epoch seconds."""
        self._active, self._registry, self._fleet = active, registry, fleet
        self._history, self._trusted, self._clock = history, trusted, clock
        self._problems = Problems(clock, lambda: history.problems)
        self._watch = Watch(active, registry, history, trusted, self._problems, clock)
        self._skew = Skew(fleet.clock_us, clock)
        self._reports = Reports(fleet, active, self._problems, node_id=node_id, clock=clock)
        self._proposed_at = self._retry_at = 0.0
        self._stuck = 0  # the generation that cannot be loaded
        self._synced_at = clock()
        self._swapping, self._moved = threading.Lock(), threading.Condition()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="bundle-follower", daemon=True)

    def start(self) -> None:
        """Load the bundle in force, then follow in a thread, until `close` or the process's end.

        Never raises: a worker without a sound bundle denies, says why, and tries again.
        """
        self._problems.attempt(_FOLLOWING, self.catch_up)
        self._reports.start()
        self._thread.start()
        atexit.register(self.close)

    def close(self) -> None:
        """End the threads and leave the fleet."""
        atexit.unregister(self.close)
        self._closed.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)
        self._reports.close()

    def at_least(self, generation: int, deadline: float) -> Loaded:
        """What decides a call that found this generation in force: that one, or a newer one.

        Waits for it until the deadline, a time of `time.monotonic()`. Raises EvaluationError.
        """
        loaded = self._active.current
        if loaded is not None and loaded.ref.generation >= generation:
            return loaded
        if generation:
            with baton.lent():
                self._catch_up_to(generation, deadline - ANSWER_SECONDS)
        loaded = self._active.current
        if loaded is None or loaded.ref.generation < generation:
            raise EvaluationError(self._excuse(generation))
        return loaded

    def _catch_up_to(self, generation: int, deadline: float) -> None:
        self._swap_if_warm(generation, deadline)
        self._wake.set()
        with self._moved:
            left = max(0.0, deadline - time.monotonic())
            self._moved.wait_for(lambda: self._is_settled(generation), left)

    def catch_up(self) -> None:
        """Have in force here what is in force, loaded where it is not warm.

        Raises DatabaseUnavailableError. What cannot be loaded is a problem, not an error.
        """
        version = self._registry.active()
        if version is None or self._promote(version):
            return
        try:
            self._load(version, in_force=True)
        except _UNFIT as error:
            self._problems.note(_IN_FORCE, f"the bundle in force cannot be loaded: {error}")
            self._stuck, self._retry_at = version.generation or 0, time.monotonic() + RETRY_SECONDS
            self._tell_waiting()
        else:
            self._promote(version)

    def report(self) -> WorkerReport:
        """What this worker runs and has prepared, and what is or was last wrong with it."""
        return self._reports.report()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with this worker now, a sentence each."""
        return self._problems.now()

    @property
    def synced_at(self) -> float:
        """When this worker last saw what is in force, in epoch seconds; else when it was made."""
        return self._synced_at

    @property
    def skew_ms(self) -> float | None:
        """Milliseconds that this node's clock is ahead of the database's, if that is known."""
        return self._skew.ms

    @property
    def is_sound(self) -> bool:
        """Whether it has a bundle, and the one in force is none that it cannot load."""
        return 0 < self._active.generation >= self._stuck

    def _run(self) -> None:
        while not self._closed.is_set():
            is_eager = time.monotonic() - self._proposed_at < LOOK_SECONDS
            self._wake.wait(EAGER_SECONDS if is_eager else LOOK_SECONDS)
            self._wake.clear()
            self._problems.attempt(_FOLLOWING, self._step)

    def _step(self) -> None:
        former = max(self._active.generation, self._stuck)
        pulse = self._fleet.look()
        self._synced_at = self._clock()
        if pulse.generation < former:
            # The database was set back to an earlier time: what it says is in force counts.
            log.error("generations were lost", former=former, generation=pulse.generation)
            self._stuck = 0
            self._active.suspend()
        is_resting = self._stuck == pulse.generation and time.monotonic() < self._retry_at
        if pulse.generation > self._active.generation and not is_resting:
            self.catch_up()
        self._consider(pulse.proposal)
        self._watch.look()
        self._skew.look()

    def _consider(self, proposal: Proposal | None) -> None:
        """Prepare what is proposed; one that is warm is only verified again."""
        now = time.monotonic()
        if proposal is None:
            if now > self._proposed_at + CANDIDATE_SECONDS:
                self._active.discard()
            return
        self._proposed_at = now
        if self._reports.answered(proposal.id):
            return
        try:
            self._load(self._registry.get(proposal.bundle_id), in_force=False)
        except _UNFIT as error:
            self._problems.note(_PROPOSED, str(error), seconds=REFUSAL_SECONDS)
            self._reports.failed(proposal.id)
        else:
            self._problems.clear(_PROPOSED)
            self._reports.prepared(proposal.id)

    def _load(self, version: BundleVersion, *, in_force: bool) -> None:
        """Have the version's evaluators warm, its bytes checked and verified."""
        data = self._history.load(version, lambda: self._registry.data(version.id))
        bundle = verify(data, self._trusted(), at=moment(self._clock()), in_force=in_force)
        self._active.prepare(bundle)

    def _promote(self, version: BundleVersion) -> bool:
        ref = BundleRef(version.id, version.version, version.checksum, version.generation or 0)
        if not self._active.promote(ref):
            return False
        self._problems.clear(_IN_FORCE)
        self._reports.loaded()
        self._tell_waiting()
        return True

    def _swap_if_warm(self, generation: int, deadline: float) -> None:
        """For a call that is ahead of the thread: the first one swaps, the others wait for it."""
        if not self._swapping.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return
        try:
            if not self._is_settled(generation):
                version = self._registry.active()
                if version is not None:
                    self._promote(version)
        except DatabaseUnavailableError:
            pass  # The thread tries until the call's deadline.
        finally:
            self._swapping.release()

    def _is_settled(self, generation: int) -> bool:
        """Whether there is nothing to wait for: it is here, or it cannot be loaded."""
        return max(self._active.generation, self._stuck) >= generation

    def _tell_waiting(self) -> None:
        with self._moved:
            self._moved.notify_all()

    def _excuse(self, generation: int) -> str:
        if not generation:
            return (
                "no policy bundle is active; activate one: `scopebound-engine serve` does so at "
                "its first start"
            )
        running = f"generation {self._active.generation}" if self._active.generation else "none"
        why = "; ".join(self._problems.now()) or "it is being loaded"
        return (
            f"generation {generation} of the policy bundle is in force, and this worker still runs "
            f"{running}: {why}"
        )
