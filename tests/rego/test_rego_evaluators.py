import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.errors import (
    CompileError,
    EngineError,
    EvaluationError,
    EvaluatorsClosedError,
    EvaluatorTimeoutError,
    OverloadError,
)
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.rego.program import Program
from scopebound_engine.verdict import ALLOW, Verdict, Violation
from tests.processes import descendants, wait_until_gone
from tests.rego.pools import (
    LOOP,
    busy,
    expect,
    made,
    soon,
    started,
    until,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[EvaluatorPool]:
    """For tests that leave its evaluators alone."""
    with started() as it:
        yield it.pool


def denied(reason: str = "no") -> Verdict:
    return Verdict(False, (Violation("NOT_GRANTED", "high", reason, "none"),))


def test_it_allows_and_denies(shared: EvaluatorPool) -> None:
    assert shared.evaluate({"do": "allow"}, soon()) is ALLOW
    assert shared.evaluate({"do": "deny", "who": "rm"}, soon()) == denied("no rm")
    assert shared.evaluate({}, soon()) == denied()


def test_a_reason_that_looks_like_an_allow_denies(shared: EvaluatorPool) -> None:
    for text in ('x","allow":true,"z":"y', '"}]}]}', "\\", "é😀\n\x1f", "A" * 16):
        assert shared.evaluate({"do": "deny", "who": text}, soon()) == denied(f"no {text}")


def test_every_thread_gets_its_own_answer(shared: EvaluatorPool) -> None:
    def ask(thread: int) -> bool:
        return all(
            shared.evaluate({"do": "deny", "who": f"{thread}-{n}"}, soon(20))
            == denied(f"no {thread}-{n}")
            and shared.evaluate({"do": "allow"}, soon(20)) is ALLOW
            for n in range(100)
        )

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(16)))
    assert shared.alive() == 2


def test_large_facts_arrive_and_large_results_are_refused(shared: EvaluatorPool) -> None:
    text = "é" * 300_000
    (violation,) = shared.evaluate({"do": "deny", "who": text}, soon()).violations
    assert violation.reason.startswith("no éé")
    with pytest.raises(EvaluationError, match="bytes of JSON"):
        shared.evaluate({"do": "deny", "who": "é" * 600_000}, soon())


GOOD = {"code": "NOT_GRANTED", "severity": "high", "reason": "r", "retry_guidance": "none"}


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"do": "fail", "zero": 0}, "divide by zero"),
        ({"do": "answer", "result": True}, "exactly"),
        ({"do": "answer", "result": {"allow": False, "violations": []}}, "without a violation"),
        ({"do": "answer", "result": {"allow": True, "violations": [GOOD]}}, "carries 1"),
        ({"do": "answer", "result": {"allow": True, "violations": [], "x": 1}}, "exactly"),
        (
            {"do": "answer", "result": {"allow": False, "violations": [{**GOOD, "code": "XYZ"}]}},
            "XYZ of violation 1 is not declared",
        ),
        (
            {"do": "answer", "result": {"allow": False, "violations": [{"code": "NOT_GRANTED"}]}},
            "lacks reason, retry_guidance, severity",
        ),
        ({"do": "deny", "who": {1, 2}}, "input"),
        ({"do": object()}, "not a JSON value"),
        ({"do": "deny", "who": "a\0"}, "NUL"),
    ],
)
def test_what_is_no_verdict_is_an_error(
    shared: EvaluatorPool, facts: dict[str, Any], says: str
) -> None:
    with pytest.raises(EvaluationError, match=says):
        shared.evaluate(facts, soon())
    assert shared.evaluate({"do": "allow"}, soon()) is ALLOW


def test_a_call_past_its_deadline_harms_no_evaluator(shared: EvaluatorPool) -> None:
    for _ in range(50):
        with pytest.raises(OverloadError, match="before its evaluation could begin"):
            shared.evaluate({"do": "allow"}, soon(0))
    assert shared.alive() == 2


def test_the_processes_have_nothing_but_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_WORKER", "x")
    with started() as it:
        for pid in (it.spawner, *it.evaluators):
            process = Path("/proc", str(pid))
            assert (process / "environ").read_bytes() == b""
            opened = {path.name: str(path.readlink()) for path in (process / "fd").iterdir()}
            assert opened.pop("0") == opened.pop("1") == "/dev/null"
            assert opened.pop("2") == str(Path("/proc/self/fd/2").readlink())
            (own,) = opened.values()
            assert own.startswith("socket:")
            assert os.getsid(pid) == it.spawner
            limits = (process / "limits").read_text()
            assert limit(limits, "Max address space") != "unlimited"
            assert limit(limits, "Max core file size") == "0"
            assert limit(limits, "Max open files") == ("16" if pid == it.spawner else "3")


def limit(limits: str, name: str) -> str:
    return limits.split(name)[1].split()[1]


def test_close_lets_a_running_evaluation_finish_and_leaves_nothing() -> None:
    with started(seconds=0.5) as it, ThreadPoolExecutor(1) as threads:
        looping = threads.submit(expect, EvaluatorTimeoutError, it.pool, LOOP)
        assert until(lambda: any(busy(pid) for pid in it.evaluators))
        it.pool.close()
        assert looping.result() >= 0.5
        assert wait_until_gone({it.spawner, *it.evaluators}, 0.1) == set()
        assert it.pool.alive() == 0
        with pytest.raises(EvaluationError, match="closed"):
            it.pool.evaluate({"do": "allow"}, soon())


def test_close_wakes_those_who_wait() -> None:
    with started(size=1, seconds=0.5) as it, ThreadPoolExecutor(2) as threads:
        threads.submit(expect, EvaluatorTimeoutError, it.pool, LOOP)
        assert until(lambda: busy(it.evaluators[0]))
        waiting = threads.submit(expect, EvaluatorsClosedError, it.pool, {"do": "allow"})
        time.sleep(0.05)
        it.pool.close()
        assert waiting.result() < 0.4


def refused(source: str) -> EngineError:
    """The error of starting such a policy; no process may be left."""
    pool = made(Program((("t.rego", f"package t\nimport rego.v1\n{source}\n"),), {}, "t/decision"))
    before = set(descendants(os.getpid()))
    with pytest.raises(EngineError) as caught:
        pool.start(5)
    left = set(descendants(os.getpid())) - before
    assert wait_until_gone(left, 0.2) == set()
    pool.close()
    with pytest.raises(EvaluationError):
        pool.evaluate({}, soon(0.1))
    return caught.value


def test_a_policy_that_does_not_compile_is_refused_with_findings() -> None:
    error = refused("decision := {")
    assert isinstance(error, CompileError)
    assert {(one.file, one.line) for one in error.findings} == {("t.rego", 3), ("t.rego", 1)}
    error = refused("default decision := 1\ndefault decision := 2")
    assert isinstance(error, CompileError)
    assert "default" in error.findings[0].message


def test_a_policy_that_crashes_the_compiler_is_refused() -> None:
    error = refused(f"decision := {'[' * 20_000}{']' * 20_000}")
    assert "the compilation of the policy was ended by SIG" in str(error)


def test_a_policy_that_allows_an_empty_input_is_refused() -> None:
    error = refused('decision := {"allow": true, "violations": []}')
    assert "allows an empty input" in str(error)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("other := 1", "undefined"),
        ('decision := replace("abc", "", "y")', "no answer within 1000 ms"),
        ('decision := {"allow": false, "violations": [{"code": "OTHER_CODE"}]}', "lacks"),
    ],
)
def test_a_policy_without_a_verdict_on_an_empty_input_is_refused(source: str, says: str) -> None:
    assert says in str(refused(source))
