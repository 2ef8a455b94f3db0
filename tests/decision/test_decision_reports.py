"""What the fleet knows of a worker, and when it knows it."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from scopebound_engine.bundle.registry.fleet import Fleet, WorkerReport
from scopebound_engine.decision.active import ActiveBundle, BundleRef
from scopebound_engine.decision.problems import Problems
from scopebound_engine.decision.reports import REPORT_SECONDS, Reports
from tests.decision.small_bundles import packed, until, verified

NOBODY = 2**22 + 1  # above the largest process id


class Worker:
    """A worker that reports what it is told to."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.active = ActiveBundle(evaluators=1, evaluation_seconds=0.25)
        self.problems = Problems(time.time)
        self.reports = Reports(fleet, self.active, self.problems, node_id="node-1", clock=time.time)

    def known(self) -> WorkerReport:
        own = self.reports.report().worker_id
        [report] = [one for one in self.fleet.workers() if one.worker_id == own]
        return report

    def close(self) -> None:
        self.reports.close()
        self.active.close()


@pytest.fixture
def worker(database: Engine) -> Iterator[Worker]:
    made = Worker(Fleet(database))
    made.reports.start()
    yield made
    made.close()


def test_a_worker_is_known_from_its_start_on(worker: Worker) -> None:
    report = worker.known()
    assert (report.node_id, report.pid) == ("node-1", os.getpid())
    assert (report.generation, report.checksum, report.loaded_at) == (0, None, None)
    assert (report.prepared, report.failed, report.error) == (0, 0, "")


def test_a_worker_with_nothing_new_is_not_silent_for_long(worker: Worker) -> None:
    time.sleep(2.5 * REPORT_SECONDS)
    assert worker.known().silent_seconds < 2 * REPORT_SECONDS


def test_what_changed_is_known_at_once(worker: Worker) -> None:
    bundle = verified(packed("1.0.0"))
    worker.active.prepare(bundle)
    until(lambda: worker.known().silent_seconds < REPORT_SECONDS / 5)
    worker.reports.prepared(7)
    until(lambda: worker.known().prepared == 7, seconds=REPORT_SECONDS / 2)
    worker.active.promote(BundleRef("id", "1.0.0", bundle.checksum, 3))
    worker.reports.loaded()
    until(lambda: worker.known().generation == 3, seconds=REPORT_SECONDS / 2)
    assert worker.known().checksum == bundle.checksum
    assert worker.known().loaded_at is not None
    worker.problems.note("proposed", "it does not compile")
    worker.reports.failed(8)
    until(lambda: worker.known().failed == 8, seconds=REPORT_SECONDS / 2)
    assert worker.known().error == "it does not compile"
    assert worker.known().error_at is not None
    assert worker.reports.answered(7)
    assert worker.reports.answered(8)
    assert not worker.reports.answered(9)


def test_a_worker_that_ends_leaves_the_fleet_for_good(worker: Worker) -> None:
    worker.reports.close()
    worker.reports.prepared(7)
    time.sleep(REPORT_SECONDS)
    assert worker.fleet.workers() == []


def test_a_worker_takes_those_out_of_the_fleet_that_died_beside_it(database: Engine) -> None:
    made = Worker(Fleet(database))
    dead = WorkerReport("dead", "node-1", NOBODY)
    for report in (
        dead,
        replace(dead, worker_id="namesake", pid=os.getpid()),
        replace(dead, worker_id="sibling", pid=os.getppid()),
        replace(dead, worker_id="elsewhere", node_id="node-2"),
    ):
        made.fleet.report(report)
    made.reports.start()
    left = {one.worker_id for one in made.fleet.workers()}
    assert left == {"sibling", "elsewhere", made.known().worker_id}
    made.close()
