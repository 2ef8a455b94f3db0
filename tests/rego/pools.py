"""Running evaluator pools, and a policy that goes wrong in every way on request."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.rego.program import Program
from tests.processes import children, command, name

# What a call does is chosen by input.do: every way in which an evaluation can go wrong.
RULES = r"""
package t
import rego.v1

default decision := {"allow": false, "violations": [
    {"code": "NOT_GRANTED", "severity": "high", "reason": "no", "retry_guidance": "none"}]}

decision := {"allow": true, "violations": []} if input.do == "allow"
decision := {"allow": false, "violations": [
    {"code": "NOT_GRANTED", "severity": "high", "reason": sprintf("no %s", [input.who]),
     "retry_guidance": "none"}]} if input.do == "deny"
decision := replace("abc", input.empty, "y") if input.do == "loop"
decision := regex.match(`.*@company\.com$`, input.to) if input.do == "crash"
decision := doubled if input.do == "eat memory"
decision := input.result if input.do == "answer"
decision := 1 / input.zero if input.do == "fail"

double0 := concat("", [input.seed, input.seed])
"""
DOUBLINGS = "".join(f'double{n + 1} := concat("", [double{n}, double{n}])\n' for n in range(31))
PROGRAM = Program(
    (("t.rego", RULES + DOUBLINGS + "doubled := count(double31)\n"),), {}, "t/decision"
)
CODES = {"NOT_GRANTED": "high"}
DEADLINE = 0.25
SLACK = 0.1
LOOP = {"do": "loop", "empty": ""}
CRASH = {"do": "crash", "to": "a" * 30_000 + "@company.com"}


@dataclass
class Started:
    """A running pool, its spawner, and its first evaluators."""

    pool: EvaluatorPool
    spawner: int
    evaluators: list[int]


def spawners_of(pid: int) -> set[int]:
    return {child for child in children(pid) if "rego.pool.spawner" in command(child)}


def evaluators_of(spawner: int) -> list[int]:
    return [pid for pid in children(spawner) if name(pid) == "evaluator"]


def made(program: Program = PROGRAM, size: int = 2, seconds: float = DEADLINE) -> EvaluatorPool:
    return EvaluatorPool(program, size=size, evaluation_seconds=seconds, codes=CODES)


@contextmanager
def started(size: int = 2, seconds: float = DEADLINE) -> Iterator[Started]:
    before = spawners_of(os.getpid())
    pool = made(size=size, seconds=seconds)
    pool.start(10)
    (spawner,) = spawners_of(os.getpid()) - before
    try:
        yield Started(pool, spawner, evaluators_of(spawner))
    finally:
        pool.close()


def soon(seconds: float = 1.0) -> float:
    return time.monotonic() + seconds


def until(holds: Callable[[], bool], seconds: float = 2.0) -> bool:
    deadline = soon(seconds)
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def busy(pid: int) -> bool:
    """Whether the process runs or wants to, for longer than an ordinary evaluation takes."""
    for _ in range(5):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "R":
            return False
        time.sleep(0.005)
    return True


def expect(error: type[Exception], pool: EvaluatorPool, facts: dict[str, Any]) -> float:
    """How long the call took that raised it."""
    before = time.monotonic()
    with pytest.raises(error) as caught:
        pool.evaluate(facts, soon(5))
    assert caught.type is error
    return time.monotonic() - before
