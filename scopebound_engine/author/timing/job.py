"""The child's part of `bench`: compiles, and asks the same over and over."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.errors import EvaluationError
from scopebound_engine.rego.program import Program

_WARM: Final = 20
_LEAST: Final = 50


def measure(
    policy: Sequence[Any], asked: Sequence[tuple[str, Mapping[str, Any]]], seconds: float
) -> Iterator[Any]:
    """A job for the sandbox: seconds to compile, then an object for each of what is asked.

    `policy` is modules, data and entrypoint. Raises CompileError.
    """
    # Loads the engine, which who only imports this module must not do.
    from scopebound_engine.rego.engine import compile_program

    modules, data, entrypoint = policy
    program = Program(tuple((path, text) for path, text in modules), data, entrypoint)
    began = time.perf_counter()
    compiled = compile_program(program)
    yield time.perf_counter() - began
    for name, facts in asked:
        for _ in range(_WARM):
            decision = _decided(compiled, facts)
        took: list[float] = []
        began = time.perf_counter()
        while len(took) < _LEAST or time.perf_counter() - began < seconds / len(asked):
            at = time.perf_counter()
            _decided(compiled, facts)
            took.append(time.perf_counter() - at)
        took.sort()
        yield {
            "call": name,
            "decision": decision,
            "evaluations": len(took),
            "per_second": len(took) / sum(took),
            "p50_us": took[len(took) // 2] * 1e6,
            "p99_us": took[len(took) * 99 // 100] * 1e6,
        }


def _decided(compiled: Any, facts: Mapping[str, Any]) -> str:
    try:
        outcome = compiled.evaluate(facts)
    except EvaluationError:
        return "no verdict"
    return "allow" if outcome.allow else "deny"
