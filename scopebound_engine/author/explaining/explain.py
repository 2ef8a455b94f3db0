"""Why a policy decides a call as it does, and what would turn a denial."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from scopebound_engine.author.explaining.candidates.callers import Constraints
from scopebound_engine.author.explaining.counterfactual import Counterfactual, Found, Search
from scopebound_engine.author.subject import Subject
from scopebound_engine.errors import (
    CompileError,
    EngineError,
    EvaluationError,
    EvaluatorCrashedError,
)
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.sandbox import run_in_child
from scopebound_engine.rego.tracing.told import Told, decode
from scopebound_engine.verdict import Verdict, Violation

SECONDS: Final = 30.0
_TRACE: Final = "scopebound_engine.rego.tracing.job:explain_all"
_VALUE: Final = "scopebound_engine.rego.tracing.job:value"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The evaluators' verdict on some facts, what the rules did, and for a denial what turns it."""

    verdict: Verdict
    told: Told
    change: Found | None = None


def explain(
    subject: Subject,
    facts: Mapping[str, Any],
    *,
    known: Constraints | None = None,
    turn: bool = True,
    seconds: float = SECONDS,
) -> Explanation:
    """Decides and explains facts that fit the schema; with `turn`, looks for what turns a denial.

    `known` are the role's constraints by tool, where somebody has them. Raises CompileError,
    EvaluationError where the policy gives no verdict or it takes longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    pool = subject.evaluators()
    try:
        verdict = pool.evaluate(facts, deadline)
        told = trace(subject, facts, max(deadline - time.monotonic(), 1.0))
        _require_agreement(verdict, told)
        found = None
        if turn and not verdict.allow:
            found = Search(subject, pool, known, deadline=deadline).find(facts, told.fired)
        return Explanation(verdict, told, found)
    finally:
        pool.close()


def decide(subject: Subject, facts: Mapping[str, Any]) -> tuple[Verdict, Mapping[str, list[str]]]:
    """The evaluators' verdict, and where the rules of each deny code stand, `file:line`.

    Raises CompileError, EngineError.
    """
    pool = subject.evaluators()
    try:
        verdict = pool.evaluate(facts, time.monotonic() + SECONDS)
        return verdict, {code: list(places) for code, places in pool.origins(SECONDS).items()}
    finally:
        pool.close()


def value_of(program: Program, facts: Mapping[str, Any]) -> Any:
    """The value that a program's entrypoint has, whatever rule it is.

    Raises CompileError, EngineError; also where there is no such rule, or it has no value.
    """
    return run_in_child(_VALUE, *_parts(program), dict(facts), seconds=SECONDS)


def trace(subject: Subject, facts: Mapping[str, Any], seconds: float = SECONDS) -> Told:
    """What the rules did, told by a child process. Raises CompileError, EvaluationError."""
    try:
        return decode(
            run_in_child(_TRACE, *_parts(subject.program), [dict(facts)], seconds=seconds)
        )
    except CompileError:
        raise
    except EngineError as error:
        raise EvaluationError(f"this evaluation cannot be explained: {error}") from error


def _parts(program: Program) -> tuple[dict[str, str], dict[str, Any], str]:
    return dict(program.modules), dict(program.data), program.entrypoint


def _require_agreement(verdict: Verdict, told: Told) -> None:
    """What is explained has to be what was decided."""
    decided = [one.code for one in verdict.violations]
    if decided != [*told.codes]:
        raise EvaluatorCrashedError("the explanation is not of the verdict that was given")


def document(explanation: Explanation) -> dict[str, Any]:
    """The same as a JSON value, for programs and for the API."""
    return {
        "decision": "allow" if explanation.verdict.allow else "deny",
        "violations": [violation(one) for one in explanation.verdict.violations],
        "fired": [
            _without(asdict(rule), "violation", "comparisons") for rule in explanation.told.fired
        ],
        "nearly": [asdict(rule) for rule in explanation.told.nearly],
        "counterfactual": _found(explanation.change) if explanation.change else None,
    }


def violation(one: Violation) -> dict[str, Any]:
    """A violation as a policy writes it."""
    is_set = one.retry_after_seconds is not None
    return asdict(one) if is_set else _without(asdict(one), "retry_after_seconds")


def _found(found: Found) -> dict[str, Any]:
    return {
        "smallest": _changes(found.smallest),
        "by_role": _changes(found.by_role),
        "evaluations": found.evaluations,
        "complete": found.complete,
        "unlike": found.unlike,
    }


def _changes(one: Counterfactual | None) -> dict[str, Any] | None:
    if one is None:
        return None
    call = {name: one.facts[name] for name in ("tool_name", "call_args", "mcp_server")}
    return {
        "changes": [
            _without(
                {field.name: getattr(change, field.name) for field in fields(change)},
                "edits",
                "cost",
            )
            for change in one.changes
        ],
        "call": call,
    }


def _without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name not in names}
