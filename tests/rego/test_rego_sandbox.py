import json
import math
import os
import sys
import threading
import time
from dataclasses import asdict

import pytest

from scopebound_engine.errors import (
    CompileError,
    EngineError,
    EvaluatorCrashedError,
    EvaluatorTimeoutError,
    Finding,
    Level,
)
from scopebound_engine.rego.sandbox import decode_record, run_in_child, started, stream_from_child
from scopebound_engine.rego.testing.cases import Seen, TestResult
from tests.processes import children, wait_until_gone

ENDLESS = f'regex.match("^(a+)+$", "{"a" * 50}b")'
LOWER = "scopebound_engine.rego.testing.lowering:lower"
RUN = "scopebound_engine.rego.testing.job:run_all"


def test_a_job_runs_in_another_process_and_answers_in_json() -> None:
    assert run_in_child(os.getpid, seconds=5) != os.getpid()
    assert run_in_child(math.gcd, 12, 18, seconds=5) == 6


def test_a_job_that_is_given_by_name_is_not_loaded_here() -> None:
    assert run_in_child("nturl2path:url2pathname", "a/b", seconds=5) == "a\\b"
    assert "nturl2path" not in sys.modules


def test_the_environment_of_the_parent_is_not_the_childs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOPEBOUND_SECRET", "do not tell")
    assert run_in_child(os.getenv, "SCOPEBOUND_SECRET", seconds=5) is None
    assert run_in_child(os.getenv, "PATH", seconds=5) is None


def test_a_job_past_its_deadline_is_killed() -> None:
    with pytest.raises(EvaluatorTimeoutError, match=r"longer than 0\.4 s"):
        run_in_child("time:sleep", 30, seconds=0.4)


def test_a_crash_names_the_signal() -> None:
    with pytest.raises(EvaluatorCrashedError, match="SIGABRT"):
        run_in_child(os.abort, seconds=5)


def test_an_exit_before_the_answer_is_a_crash() -> None:
    with pytest.raises(EvaluatorCrashedError, match="exited with 3"):
        run_in_child("os:_exit", 3, seconds=5)


def test_an_exception_that_is_no_engine_error_is_a_crash_with_its_last_line() -> None:
    with pytest.raises(EvaluatorCrashedError, match="ZeroDivisionError"):
        run_in_child("operator:truediv", 1, 0, seconds=5)


def test_memory_is_limited() -> None:
    with pytest.raises(EngineError, match="more memory"):
        run_in_child("operator:mul", "x", 200 << 20, seconds=5, memory_bytes=64 << 20)


def test_what_a_job_prints_does_not_reach_the_answer() -> None:
    assert run_in_child("builtins:print", '{"value": 1}', seconds=5) is None


def test_findings_of_a_job_arrive_as_findings() -> None:
    bad = {"a_test.rego": "package t\ntest_x if { not nope with input as 1 }\n"}
    with pytest.raises(CompileError) as caught:
        run_in_child(LOWER, bad, seconds=5)
    assert [(found.file, found.line) for found in caught.value.findings] == [("a_test.rego", 2)]


def test_values_of_a_generator_are_kept_when_it_dies_later() -> None:
    modules = {"t_test.rego": f"package t\ntest_x if 1 == 1\ntest_y if {ENDLESS}\n"}
    values = stream_from_child(RUN, modules, {}, None, 60.0, seconds=1.5)
    assert [test["name"] for test in next(values)] == ["data.t.test_x", "data.t.test_y"]
    assert next(values) is None
    assert next(values)["outcome"] == "passed"
    with pytest.raises(EvaluatorTimeoutError, match=r"longer than 1\.5 s"):
        next(values)


def test_what_a_job_forked_ends_with_it() -> None:
    modules = {"t_test.rego": f"package t\ntest_x if {ENDLESS}\n"}
    with started(RUN, modules, {}, None, 60.0, seconds=60) as values:
        assert next(values)
        assert next(values) is None
        (job,) = children(os.getpid())
        while not (forked := children(job)):
            time.sleep(0.01)
    assert wait_until_gone({job, *forked}, seconds=5) == set()


def test_threads_may_run_jobs_at_the_same_time() -> None:
    results = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(run_in_child(math.sqrt, n, seconds=10)))
        for n in (1, 4, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [1, 2, 3]


@pytest.mark.parametrize("level", ["error", "warning"])
def test_a_record_arrives_as_it_was_sent(level: Level) -> None:
    finding = Finding("plan", "no such path", "a.rego", 3, 7, "mend it", level)
    assert decode_record(Finding, asdict(finding)) == finding


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"step": "x"},
        asdict(Finding("x", "y")) | {"level": "fine"},
        asdict(Finding("x", "y")) | {"line": True},
        {**dict.fromkeys(("step", "message", "file", "remedy"), ""), "line": "1", "column": 0},
    ],
)
def test_a_malformed_record_is_not_believed(value: object) -> None:
    with pytest.raises(EvaluatorCrashedError, match="malformed"):
        decode_record(Finding, value)


def test_a_record_may_hold_others() -> None:
    result = TestResult("data.t.test_x", "t.rego", 1, seen=(Seen("a", "1"), Seen("b", "2")))
    assert decode_record(TestResult, json.loads(json.dumps(asdict(result)))) == result


@pytest.mark.parametrize("seen", [None, [1], [{"text": "a"}], [{"text": "a", "value": 1}], "ab"])
def test_a_malformed_record_in_another_is_not_believed(seen: object) -> None:
    with pytest.raises(EvaluatorCrashedError, match="malformed"):
        decode_record(TestResult, asdict(TestResult("t", "t.rego", 1)) | {"seen": seen})
