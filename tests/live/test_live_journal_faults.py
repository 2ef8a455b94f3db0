"""The journal's disk fails under load: denials and no allow, and it goes on when the disk does.

SCOPEBOUND_TEST_LOG_SYNC=timer,each makes it long: it goes through both ways to sync.
"""

import errno
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.chains import events, whole_chain
from tests.faults import Faults
from tests.load import Answer, Load, latency
from tests.processes import children
from tests.servers import RunningServer, serving
from tests.watching import assert_counted, is_signed, is_well, metrics, names, until

SYNCS = os.environ.get("SCOPEBOUND_TEST_LOG_SYNC", "timer").split(",")
BEFORE, DURING, AFTER = 0.4, 1.0, 1.5
# Until the timer has found out that the disk does not take what was written.
SYNC = 0.5
# The aim is 2 s; more where other tests share the processors.
RECOVERY, CLIENT_SECONDS = 2.0, 2.0
FAULTS = {
    "full": {"room": 0},
    "EIO": {"pwrite": errno.EIO},
    "read-only": {"pwrite": errno.EROFS, "open": errno.EROFS},
    "sync": {"fdatasync": errno.EIO},
}
REASONS = {"full": errno.ENOSPC, "read-only": errno.EROFS}


@dataclass(frozen=True)
class Subject:
    """A server whose journal can be made to fail, and all that it answered."""

    server: RunningServer
    faults: Faults
    history: list[Answer]


@pytest.fixture(scope="module", params=SYNCS)
def subject(tmp_path_factory, request) -> Iterator[Subject]:
    folder = tmp_path_factory.mktemp("faults")
    faults = Faults(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in faults.environment.items():
            patch.setenv(name, value)
        settings = {"log_sync": request.param, "evaluation_deadline_ms": 900}
        with serving(folder / "data", **settings) as server:
            yield Subject(server, faults, [])


@pytest.mark.parametrize("fault", FAULTS)
def test_while_the_disk_fails_all_is_denied_and_it_recovers_without_a_restart(subject, fault):
    workers = children(subject.server.process.pid)
    with Load([subject.server], rate=50, lines=24) as load:
        time.sleep(BEFORE)
        subject.faults.begin(**FAULTS[fault])
        began = time.monotonic() + (SYNC if fault == "sync" else 0.0)
        try:
            until(lambda: is_named(subject, fault), DURING)
            time.sleep(max(0.0, began + DURING - time.monotonic()))
        finally:
            ending = time.monotonic()
            subject.faults.end()
        time.sleep(AFTER)
    subject.history.extend(load.history)
    assert set(workers) <= set(children(subject.server.process.pid)), "a worker was lost"
    during = [each for each in load.history if began < each.begun and each.ended < ending]
    said = Counter(map(outcome, during))
    recovery = max(each.begun for each in load.history if is_unrecorded(each)) - ending
    took = latency(each.ended - each.begun for each in during)
    print(f"\n{fault}: {dict(said)}, answered in {took}, recovered after {recovery:.2f} s")
    assert set(said) == {"POLICY_ERROR"}
    assert all(each.ended - each.begun < CLIENT_SECONDS for each in load.history)
    assert recovery < RECOVERY
    assert not is_unrecorded(load.history[0])


def test_every_answer_that_allowed_is_in_the_chain_once_and_what_is_missing_is_counted(subject):
    folder = subject.server.data_dir / "log"
    wait_until_resumed(subject)
    ids = Counter(each["id"] for each in whole_chain(folder) if each.get("decision") == "allow")
    allowed = [each for each in subject.history if outcome(each) == "allow"]
    assert len(allowed) > 150
    assert {ids[each.decision["decision_id"]] for each in allowed} == {1}
    denied = sum(map(is_unrecorded, subject.history))
    gaps = events(folder, "log.resumed")
    missed = sum(gap["unrecorded"] + len(gap["overruled"]) for gap in gaps)
    assert missed >= denied > 100


def test_all_is_counted_and_nothing_is_wrong_any_more(subject):
    until(lambda: is_well(subject.server) and is_signed(subject.server))
    assert_counted(metrics(subject.server), subject.history)


def test_a_session_is_not_made_and_no_role_changed_where_that_cannot_be_recorded(subject):
    with subject.server.client() as http:
        role = http.get("/mgmt/v1/roles").json()["roles"][0]
        subject.faults.begin(pwrite=errno.EIO)
        try:
            made = http.post("/v1/provision", json={"role_id": role["id"]})
            changed = http.put(f"/mgmt/v1/roles/{role['id']}", json={"allowed_tools": []})
        finally:
            subject.faults.end()
        assert (made.status_code, changed.status_code) == (503, 503)
        assert http.get(f"/mgmt/v1/roles/{role['id']}").json() == role


def outcome(answer: Answer) -> str:
    said = answer.decision
    return str(said.get("deny_code") or said.get("decision") or answer.status)


def is_unrecorded(answer: Answer) -> bool:
    return not answer.decision.get("decision_id")


def is_named(subject: Subject, fault: str) -> bool:
    """Whether health and metrics tell of the fault."""
    reason = os.strerror(REASONS.get(fault, errno.EIO))
    problem = f"the decision log cannot be written: .*{reason}"
    assert names(subject.server, problem, "down")
    return metrics(subject.server)["journal_writable"] == 0


def wait_until_resumed(subject: Subject) -> None:
    """Each worker says what it missed, at the latest with its next record."""
    with Load([subject.server], rate=50) as load:
        time.sleep(1)
    subject.history.extend(load.history)
    assert not any(map(is_unrecorded, load.history))
