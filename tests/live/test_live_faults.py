"""Evaluators that hang, crash or are killed: a POLICY_ERROR denial in time, then service again."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.bundles import quick_policies
from tests.policies import with_rule
from tests.processes import children, descendants, name, wait_until_gone
from tests.servers import PLAIN, RunningServer, serving

EVALUATION_SECONDS = 0.25
TOTAL_SECONDS = 1.0
SLACK_SECONDS = 0.1

# Three nested loops over the caller's own list: 8 million steps for 200 elements. For one role
# only, or the gate's own calls would find it.
SLOW_RULE = """# METADATA
# title: slow rule
# description: a rule that takes cubic time on the caller's list
package scopebound.deny

import rego.v1

violation contains v if {
\tinput.tool_name == "slow"
\tinput.claims.role == "r"
\tis_array(input.call_args.l)
\tl := input.call_args.l
\tn := count([1 | some a in l; some b in l; some c in l; a == b; b != c])
\tn == 1
\tv := {"code": "SLOW_RULE", "severity": "low", "reason": "slow", "retry_guidance": "none"}
}
"""


@dataclass(frozen=True)
class Subject:
    server: RunningServer
    http: httpx.Client
    token: str

    def call(self, tool_name: str = "read", **call_args: Any) -> tuple[dict[str, Any], float]:
        """The decision, and the seconds between the request's arrival and its answer."""
        body = {"jwt": self.token, "tool_name": tool_name, "call_args": call_args}
        answer = self.http.post("/v1/enforce", json=body)
        assert answer.status_code == 200
        decision: dict[str, Any] = answer.json()
        return decision, decision["latency_ms"] / 1000

    def evaluators(self) -> list[int]:
        """The processes that evaluate, of all bundles."""
        return [pid for pid in descendants(self.server.process.pid) if name(pid) == "evaluator"]

    def wait_for_full_strength(self) -> None:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            if httpx.get(f"{self.server.url}/healthz", **PLAIN).json()["status"] == "ok":
                return
            time.sleep(0.02)
        pytest.fail("the engine did not return to full strength")


def slow_policies(folder: Path) -> Path:
    shipped = quick_policies(folder / "shipped").parent
    return with_rule(shipped, folder / "source", "SLOW_RULE", SLOW_RULE)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    folder = tmp_path_factory.mktemp("faults")
    policies = slow_policies(folder)
    with serving(folder / "data", workers=1, policies=policies) as server, server.client() as http:
        http.post("/mgmt/v1/roles", json={"name": "r", "allowed_tools": ["read", "slow"]})
        token = http.post("/v1/provision", json={"role_id": "r"}).json()["jwt"]
        yield Subject(server, http, token)


def test_a_looping_rule_is_killed_within_the_deadline(subject: Subject) -> None:
    before = set(subject.evaluators())
    decision, seconds = subject.call("slow", l=list(range(200)))
    print(f"a looping rule was answered after {seconds * 1000:.0f} ms")
    assert decision["deny_code"] == "POLICY_ERROR"
    assert decision["severity"] == "critical"
    assert seconds < EVALUATION_SECONDS + SLACK_SECONDS
    assert subject.call()[0]["decision"] == "allow"
    subject.wait_for_full_strength()
    assert len(subject.evaluators()) == len(before)
    assert set(subject.evaluators()) != before


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_killed_evaluators_are_replaced(subject: Subject, signal_number: int) -> None:
    subject.wait_for_full_strength()
    for pid in subject.evaluators():
        os.kill(pid, signal_number)
    decisions = [subject.call() for _ in range(3)]
    assert all(seconds < EVALUATION_SECONDS + SLACK_SECONDS for _, seconds in decisions)
    codes = [decision.get("deny_code") for decision, _ in decisions]
    assert set(codes) <= {"POLICY_ERROR", None}
    subject.wait_for_full_strength()
    assert subject.call()[0]["decision"] == "allow"


def test_an_evaluator_killed_in_mid_evaluation_denies(subject: Subject) -> None:
    subject.wait_for_full_strength()
    results: list[tuple[dict[str, Any], float]] = []
    call = threading.Thread(target=lambda: results.append(subject.call("slow", l=list(range(200)))))
    call.start()
    time.sleep(0.1)
    for pid in subject.evaluators():
        os.kill(pid, signal.SIGKILL)
    call.join(5)
    assert results[0][0]["deny_code"] == "POLICY_ERROR"
    subject.wait_for_full_strength()
    assert subject.call()[0]["decision"] == "allow"


def test_a_stopped_evaluator_is_replaced(subject: Subject) -> None:
    subject.wait_for_full_strength()
    for pid in subject.evaluators():
        os.kill(pid, signal.SIGSTOP)
    decision, seconds = subject.call()
    assert decision["deny_code"] == "POLICY_ERROR"
    assert seconds < EVALUATION_SECONDS + SLACK_SECONDS
    subject.call()
    subject.wait_for_full_strength()
    assert subject.call()[0]["decision"] == "allow"


def test_a_killed_spawner_is_replaced(subject: Subject) -> None:
    subject.wait_for_full_strength()
    below = descendants(subject.server.process.pid)
    for pid, line in below.items():
        if "spawner" in line and children(pid):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    subject.call()
    subject.wait_for_full_strength()
    assert subject.call()[0]["decision"] == "allow"


def test_a_flood_of_looping_calls_is_shed_in_time(subject: Subject) -> None:
    results: list[tuple[dict[str, Any], float]] = []
    calls = [
        threading.Thread(target=lambda: results.append(subject.call("slow", l=list(range(200)))))
        for _ in range(12)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join(10)
    assert {decision["deny_code"] for decision, _ in results} == {"POLICY_ERROR"}
    print(f"the slowest of a flood was answered after {max(s for _, s in results):.2f} s")
    assert max(seconds for _, seconds in results) < TOTAL_SECONDS + SLACK_SECONDS
    subject.wait_for_full_strength()
    assert subject.call()[0]["decision"] == "allow"


def test_a_worker_killed_with_looping_evaluators_leaves_none_behind(
    tmp_path: Path,
) -> None:
    policies = slow_policies(tmp_path)
    with serving(tmp_path / "data", workers=1, policies=policies) as server:
        with server.client() as http:
            http.post("/mgmt/v1/roles", json={"name": "r", "allowed_tools": ["slow"]})
            token = http.post("/v1/provision", json={"role_id": "r"}).json()["jwt"]
        family = set(descendants(server.process.pid))

        def loop() -> None:
            with server.client() as own, suppress(httpx.HTTPError):  # it is killed under it
                Subject(server, own, token).call("slow", l=list(range(200)))

        calls = [threading.Thread(target=loop) for _ in range(2)]
        for call in calls:
            call.start()
        time.sleep(0.1)
        family |= set(descendants(server.process.pid))
        server.process.kill()
        for call in calls:
            call.join(10)
        assert wait_until_gone(family, 4) == set()
