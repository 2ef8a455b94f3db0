"""Prepare, then commit, with workers that are threads: real registry and fleet, no evaluators."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from bundle_samples import KEY, files, manifest, signed, trust
from sqlalchemy import Engine

from scopebound_engine.bundle.activation import Activator, Patience
from scopebound_engine.bundle.registry.fleet import Fleet, WorkerReport
from scopebound_engine.bundle.registry.registry import Actor, BundleVersion, Registry
from scopebound_engine.bundle.signature import verify
from scopebound_engine.errors import ActivationError, BusyError, ConflictError, NotFoundError

ALICE = Actor("alice")
IMPATIENT = Patience(turn=0.3, lease=5.0, prepare=0.5, converge=0.5, silence=0.6)

Work = Callable[["Worker"], None]


class Worker:
    """Follows the fleet as a worker does: prepares what is proposed, runs what is in force."""

    def __init__(self, fleet: Fleet, name: str, *, unfit: bool = False) -> None:
        self.fleet, self.unfit = fleet, unfit
        self.report = WorkerReport(name, node_id=f"node-{name}", pid=len(name))
        self.seen: list[tuple[int, int]] = []
        self.prepares = self.promotes = True
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def step(self) -> None:
        pulse = self.fleet.look()
        report = self.report
        if self.promotes and pulse.generation > report.generation:
            report = replace(report, generation=pulse.generation)
        if pulse.proposal and self.unfit:
            report = replace(report, failed=pulse.proposal.id, error="no memory is left")
        elif pulse.proposal and self.prepares:
            report = replace(report, prepared=pulse.proposal.id)
        self.seen.append((report.prepared, report.generation))
        self.report = report
        self.fleet.report(report)

    def _run(self) -> None:
        while not self._closed.wait(0.03):
            self.step()

    @contextmanager
    def at_work(self) -> Iterator["Worker"]:
        self.step()
        self._thread.start()
        yield self
        self.stop()

    def stop(self) -> None:
        """Fall silent without a word, as a process that is killed does."""
        self._closed.set()
        self._thread.join()


@pytest.fixture
def registry(database: Engine) -> Registry:
    return Registry(database, time.time)


@pytest.fixture
def fleet(database: Engine) -> Fleet:
    return Fleet(database)


@pytest.fixture
def activator(registry: Registry, fleet: Fleet) -> Activator:
    return Activator(registry, fleet, IMPATIENT)


def stored(registry: Registry, version: str = "1.0.0") -> BundleVersion:
    text = json.dumps(manifest(version=version)).encode()
    data = signed(KEY, files(**{"manifest.json": text}))
    return registry.store(data, verify(data, trust(KEY)), description="", actor=ALICE)


def test_every_worker_is_prepared_before_the_commit_and_runs_it_after(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    with Worker(fleet, "a").at_work() as a, Worker(fleet, "bb").at_work() as b:
        version, convergence = activator.activate(stored(registry).id, actor=ALICE)
        assert registry.active() == version
        assert (convergence.converged, convergence.expected, convergence.running) == (True, 2, 2)
        assert convergence.laggards == ()
        assert 0 < convergence.seconds < 2
        for worker in (a, b):
            first = next(state for state in worker.seen if state[1] == version.generation)
            assert first[0] > 0
    assert fleet.look().proposal is None


def test_without_a_worker_it_is_in_force_and_nothing_has_converged(
    registry: Registry, activator: Activator
) -> None:
    version, convergence = activator.activate(stored(registry).id, actor=ALICE)
    assert registry.active() == version
    assert (convergence.converged, convergence.expected, convergence.running) == (False, 0, 0)
    assert convergence.seconds < 0.4


def test_a_worker_that_cannot_run_it_keeps_it_out_of_force_everywhere(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    with Worker(fleet, "a").at_work(), Worker(fleet, "bad").at_work() as bad:
        former, _ = activator.activate(stored(registry).id, actor=ALICE)
        bad.unfit = True
        with pytest.raises(ActivationError, match=r"worker 3 of node node-bad .*no memory is left"):
            activator.activate(stored(registry, "2.0.0").id, actor=ALICE)
        assert registry.active() == former
        assert fleet.look().proposal is None


def test_a_worker_that_runs_nothing_and_fails_keeps_nobody_from_a_rollback(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    with Worker(fleet, "a").at_work():
        first, _ = activator.activate(stored(registry, "1.0.0").id, actor=ALICE)
        activator.activate(stored(registry, "2.0.0").id, actor=ALICE)
        bad = Worker(fleet, "bad", unfit=True)
        bad.promotes = False
        with bad.at_work():
            _, convergence = activator.activate(first.id, actor=ALICE, kind="bundle.rolled_back")
            assert (convergence.expected, convergence.running) == (2, 1)
            assert [report.worker_id for report in convergence.laggards] == ["bad"]
            assert convergence.laggards[0].error == "no memory is left"
    active = registry.active()
    assert active is not None
    assert active.id == first.id


def test_a_worker_that_is_stuck_at_an_older_generation_keeps_nobody_from_a_rollback(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    with Worker(fleet, "a").at_work(), Worker(fleet, "stuck").at_work() as stuck:
        first, _ = activator.activate(stored(registry, "1.0.0").id, actor=ALICE)
        stuck.promotes = False
        activator.activate(stored(registry, "2.0.0").id, actor=ALICE)
        stuck.unfit = True
        activator.activate(first.id, actor=ALICE, kind="bundle.rolled_back")
        assert registry.highest_activated() != registry.active()


def test_what_no_worker_can_run_takes_no_effect_though_none_runs_what_is_in_force(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    former = registry.activate(stored(registry, "1.0.0").id, actor=ALICE)
    workers = [Worker(fleet, name, unfit=True) for name in ("a", "bb")]
    with ExitStack() as stack:
        for worker in workers:
            worker.promotes = False
            stack.enter_context(worker.at_work())
        with pytest.raises(ActivationError, match="no memory is left"):
            activator.activate(stored(registry, "2.0.0").id, actor=ALICE)
    assert registry.active() == former


def test_a_version_that_is_removed_while_it_is_prepared_is_not_found(
    registry: Registry, fleet: Fleet
) -> None:
    activator = Activator(registry, fleet, replace(IMPATIENT, prepare=5.0))
    with Worker(fleet, "a").at_work() as a:
        activator.activate(stored(registry, "1.0.0").id, actor=ALICE)
        gone = stored(registry, "2.0.0")
        a.prepares = False

        def remove() -> None:
            registry.remove(gone.id, actor=ALICE)
            a.unfit = True

        threading.Timer(0.2, remove).start()
        with pytest.raises(NotFoundError, match=gone.id):
            activator.activate(gone.id, actor=ALICE)


def test_a_worker_that_is_not_ready_in_time_is_not_waited_for_and_is_named(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    with Worker(fleet, "a").at_work(), Worker(fleet, "slow").at_work() as slow:
        slow.prepares = slow.promotes = False
        began = time.monotonic()
        version, convergence = activator.activate(stored(registry).id, actor=ALICE)
        assert 0.9 < time.monotonic() - began < 3
        assert (convergence.converged, convergence.expected, convergence.running) == (False, 2, 1)
        assert [report.worker_id for report in convergence.laggards] == ["slow"]
        slow.promotes = True
        assert activator.settle(version.generation or 0).converged


def test_a_worker_that_falls_silent_meanwhile_is_a_laggard_and_holds_nobody_up(
    registry: Registry, fleet: Fleet
) -> None:
    activator = Activator(registry, fleet, replace(IMPATIENT, prepare=10.0, converge=10.0))
    with Worker(fleet, "a").at_work(), Worker(fleet, "gone").at_work() as gone:
        gone.stop()
        began = time.monotonic()
        _, convergence = activator.activate(stored(registry).id, actor=ALICE)
        assert time.monotonic() - began < 3
        assert (convergence.converged, convergence.expected, convergence.running) == (False, 2, 1)
        assert [report.worker_id for report in convergence.laggards] == ["gone"]
        assert convergence.laggards[0].silent_seconds > 0.5


def test_a_worker_that_was_silent_before_is_not_counted(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    Worker(fleet, "dead").step()
    time.sleep(0.7)
    with Worker(fleet, "a").at_work():
        _, convergence = activator.activate(stored(registry).id, actor=ALICE)
        assert (convergence.converged, convergence.expected) == (True, 1)


def test_a_worker_that_leaves_meanwhile_is_not_missed(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    with Worker(fleet, "a").at_work(), Worker(fleet, "going").at_work() as going:
        going.prepares = False
        threading.Timer(0.2, lambda: (going.stop(), fleet.leave("going"))).start()
        _, convergence = activator.activate(stored(registry).id, actor=ALICE)
        assert (convergence.converged, convergence.expected) == (True, 1)


def test_another_activation_under_way_is_waited_for(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    version = stored(registry)
    other = fleet.propose(version.id, lease_seconds=30)
    assert other is not None
    with pytest.raises(BusyError) as busy:
        activator.activate(version.id, actor=ALICE)
    assert busy.value.retry_after_seconds > 0
    assert registry.generation() == 0
    assert fleet.look().proposal == other
    threading.Timer(0.15, lambda: fleet.withdraw(other.id)).start()
    assert activator.activate(version.id, actor=ALICE)[0].is_active


def test_one_that_died_in_mid_activation_blocks_no_longer_than_its_lease(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    version = stored(registry)
    assert fleet.propose(version.id, lease_seconds=0.2)
    assert activator.activate(version.id, actor=ALICE)[0].is_active


def test_who_slept_through_the_lease_does_not_commit_in_anothers_turn(
    registry: Registry, fleet: Fleet
) -> None:
    activator = Activator(registry, fleet, replace(IMPATIENT, lease=0.2))
    with Worker(fleet, "slow").at_work() as slow:
        slow.prepares = False
        with pytest.raises(BusyError, match="turn to activate it was over"):
            activator.activate(stored(registry).id, actor=ALICE)
        assert registry.generation() == 0


def test_what_the_registry_refuses_leaves_no_proposal(
    registry: Registry, fleet: Fleet, activator: Activator
) -> None:
    low = stored(registry, "1.0.0")
    activator.activate(stored(registry, "2.0.0").id, actor=ALICE)
    with pytest.raises(ConflictError, match=r"lower than 2\.0\.0"):
        activator.activate(low.id, actor=ALICE)
    assert fleet.look().proposal is None


def test_activations_at_once_have_one_order_and_the_last_runs_everywhere(
    registry: Registry, fleet: Fleet
) -> None:
    activator = Activator(registry, fleet, replace(IMPATIENT, turn=20.0))
    versions = [stored(registry, f"1.0.0+{number}") for number in range(5)]
    generations: list[int] = []

    def activate(version: BundleVersion) -> None:
        activated, convergence = activator.activate(version.id, actor=ALICE)
        assert convergence.converged
        generations.append(activated.generation or 0)

    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(fleet, name).at_work()) for name in ("a", "bb")]
        threads = [threading.Thread(target=activate, args=(version,)) for version in versions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert generations == sorted(generations)
        assert len(set(generations)) == 5
        assert {worker.report.generation for worker in workers} == {registry.generation()}
