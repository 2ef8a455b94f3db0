"""The child's part of a test run: compile once, then answer test by test."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from scopebound_engine.errors import CompileError, EngineError, Finding
from scopebound_engine.rego.binary import Encoder
from scopebound_engine.rego.checks.references import broken_references
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast, compile_plan
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.sandbox import time_limit
from scopebound_engine.rego.testing.lowering import Lowered, lower
from scopebound_engine.rego.testing.overrides import wrap


def run_in_order(
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    entrypoints: Sequence[str],
    seconds_each: float,
    strict: bool,
) -> Iterator[dict[str, Any] | None]:
    """A job for the sandbox: None once all is compiled, then for each entrypoint its outcome.

    Outcomes are "passed", "failed" and "error", with the seconds taken and the error's message.
    A test that takes longer than `seconds_each` ends the process. Raises CompileError; with
    `strict` also for references to what is not there.
    """
    lowered = lower(modules)
    document, frame = compile_fast(lowered.modules, entrypoints, data)
    plan = Plan(document, lowered.modules)
    if strict and any(True for _ in broken_references(plan)):
        found = _with_places(lowered, entrypoints)
        raise CompileError("the tests refer to what is not there", found)
    wrap(document, lowered.helpers)
    encoder = Encoder(document, frame)
    yield None
    # The engine goes over the whole plan for each query, so each package gets a plan of its own.
    for _, names in groupby(entrypoints, key=lambda name: name.rpartition("/")[0]):
        tests = list(names)
        starts = ["g0.data." + name.replace("/", ".") for name in tests]
        loaded = LoadedPlan(encoder.encode(tests, sorted(plan.reachable(*starts))))
        for test in tests:
            yield _answer(loaded, test, seconds_each)


def _with_places(lowered: Lowered, entrypoints: Sequence[str]) -> list[Finding]:
    plan = Plan(compile_plan(lowered.modules, entrypoints), lowered.modules)
    return [
        replace(finding, line=lowered.line(finding.file, finding.line))
        for finding in broken_references(plan)
    ]


def _answer(plan: LoadedPlan, entrypoint: str, seconds_each: float) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        with time_limit(seconds_each):
            outcome, message = "passed" if plan.holds(entrypoint) else "failed", ""
    except EngineError as error:
        outcome, message = "error", str(error)
    return {"outcome": outcome, "seconds": time.perf_counter() - started, "message": message}
