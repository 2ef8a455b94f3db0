"""Explanations name exactly the rules that fired, whatever was asked.

SCOPEBOUND_TEST_EXPLAINED=1000 makes it long, SCOPEBOUND_TEST_SEED repeats one.
"""

import json
import os
import random
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import EngineError, EvaluationError, EvaluatorCrashedError
from scopebound_engine.rego.engine import Compiled, compile_program
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.tracing.job import Tracer
from scopebound_engine.rego.tracing.told import Condition, Fired, Told, decode
from tests.rego import random_facts

EXPLAINED = int(os.environ.get("SCOPEBOUND_TEST_EXPLAINED", "150"))
SEED = int(os.environ.get("SCOPEBOUND_TEST_SEED") or secrets.randbelow(1 << 32))
ENTRYPOINT = "scopebound/decision"


def shipped() -> Program:
    folder = SHIPPED / "policies"
    modules = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.rego"))
        if not path.name.endswith("_test.rego")
    }
    config = json.loads((folder / "scopebound/config/data.json").read_text(encoding="utf-8"))
    return Program(tuple(modules.items()), {"scopebound": {"config": config}}, ENTRYPOINT)


def heads(program: Program) -> set[tuple[str, int]]:
    """Where the deny rules stand, read off their source."""
    return {
        (path, number)
        for path, text in program.modules
        for number, line in enumerate(text.split("\n"), 1)
        if line.startswith("violation contains")
    }


@pytest.fixture(scope="module")
def program() -> Program:
    return shipped()


@pytest.fixture(scope="module")
def tracer(program: Program) -> Tracer:
    return Tracer(program)


@pytest.fixture(scope="module")
def compiled(program: Program) -> Compiled:
    return compile_program(program)


def whole() -> dict[str, Any]:
    """The facts of a call that is allowed."""
    for seed in range(1_000):
        document = random_facts.facts(random.Random(seed))
        fits = document.get("action") == "tool_call" and document.get("tool_name") == "read"
        if fits and not document["constraints"] and "limit" not in document["call_args"]:
            document["claims"] |= {"allowed_tools": ["read"], "exp": 2_000_000_000}
            document["claims"] |= {"allowed_hours_start": 0, "allowed_hours_end": 0}
            document["claims"] |= {"allowed_days": [], "bound": {"approval_required": []}}
            document["claims"]["data_scope"] = {"allowed_envs": ["prod"], "max_rows": 1_000}
            document["call_args"] = {"amount": 1}
            granted = {"limit": 0, "granted": True, "remaining": 0, "retry_after_seconds": 0}
            document["session"] |= {"rate": {"minute": granted, "hour": granted}}
            document["session"] |= {"revoked": False, "revoked_reason": None}
            document["session"]["drift"] |= {"latched": False, "ready": False}
            return document
    raise AssertionError("no such document")


def test_random_inputs_are_explained_by_the_rules_that_fired(
    program: Program, tracer: Tracer, compiled: Compiled
) -> None:
    rng, denied = random.Random(SEED), 0
    for _ in range(EXPLAINED):
        document = random_facts.facts(rng)
        try:
            outcome = compiled.evaluate(document)
        except EvaluationError:
            with pytest.raises(EngineError):
                tracer.explain(document)
            continue
        told = tracer.explain(document)
        note = f"SCOPEBOUND_TEST_SEED={SEED}: {json.dumps(document)}"
        codes = [violation["code"] for violation in outcome.violations]
        assert list(told.codes) == codes, note
        # Each violation has its rule, which is the one of the file that its code names.
        assert [one.violation for one in told.fired] == [*range(len(codes))], note
        assert [one.code for one in told.fired] == codes, note
        for one in told.fired:
            assert one.file == f"scopebound/deny/{one.code.lower()}.rego", note
            assert all(item.state == "held" for item in one.conditions), note
        fired = {(one.file, one.line) for one in told.fired}
        nearly = [(one.file, one.line) for one in told.nearly]
        assert len(nearly) == len(set(nearly)), note
        assert fired.isdisjoint(nearly), note
        assert fired.union(nearly) == heads(program), note
        assert all(one.failed.state == "failed" for one in told.nearly), note
        assert all(one.codes for one in told.nearly), note
        denied += not outcome.allow
    assert denied > EXPLAINED / 4


def flat(conditions: tuple[Condition, ...]) -> Iterator[Condition]:
    for condition in conditions:
        yield condition
        yield from flat(condition.because)


def fired(told: Told, code: str) -> Fired:
    return next(one for one in told.fired if one.code == code)


def test_a_rule_that_fired_tells_what_it_saw(tracer: Tracer) -> None:
    document = whole()
    document["call_args"] = {"limit": 5_000}
    told = tracer.explain(document)
    rule = fired(told, "DATA_LIMIT_EXCEEDED")
    assert (rule.source[0], rule.source[-1]) == ("violation contains {", "}")
    assert [item.text for item in rule.conditions] == ["facts.tool_call", "not rows_allowed"]
    facts = {fact.path: fact.value for fact in rule.facts}
    assert facts["input.call_args.limit"] == 5_000
    assert facts["input.claims.data_scope.max_rows"] == 1_000
    decisive = {item.text: item for item in flat(rule.conditions)}["limit <= most"]
    assert decisive.state == "failed"
    seen = [(fact.path, fact.value) for fact in decisive.values]
    assert seen == [("input.call_args.limit", 5_000), ("input.claims.data_scope.max_rows", 1_000)]


def test_what_is_absent_is_told_to_be(tracer: Tracer) -> None:
    document = whole()
    del document["claims"]["exp"]
    rule = fired(tracer.explain(document), "SESSION_EXPIRED")
    absent = [fact.path for fact in rule.facts if fact.state == "absent"]
    assert "input.claims.exp" in absent


def test_what_nearly_fired_comes_nearest_first(tracer: Tracer) -> None:
    document = whole()
    document["call_args"] = {"limit": 1_000}
    told = tracer.explain(document)
    assert not told.fired
    missing = [one.conditions - one.held for one in told.nearly]
    assert missing == sorted(missing)
    codes = [code for one in told.nearly for code in one.codes]
    # The limit is just within its bound, and no other rule that asks one thing more is so near.
    assert codes.index("DATA_LIMIT_EXCEEDED") < codes.index("APPROVAL_REQUIRED")
    assert codes[-1] == "DELEGATION_SCOPE_EXCEEDED"


def test_a_rule_is_told_once_for_each_of_its_reasons(tracer: Tracer) -> None:
    document = whole()
    rule = {"operator": "lt", "required": False, "present": True, "fit": True, "actual": 9}
    document["constraints"] = [
        {**rule, "field": "a", "value": 5},
        {**rule, "field": "b", "value": 50},
        {**rule, "field": "c", "value": 7},
    ]
    told = tracer.explain(document)
    fields = [
        [fact.value for fact in one.facts if fact.path.endswith(".field")] for one in told.fired
    ]
    assert fields == [["a"], ["c"]]
    assert {fact.path for fact in told.fired[1].facts} >= {"input.constraints[2].actual"}


def test_no_argument_can_forge_an_explanation(tracer: Tracer) -> None:
    hostile = ['","', "17", '"', "\\", "\u2028", '{"fired":[]}', "x" * 100_000]
    for text in hostile:
        document = whole()
        document["tool_name"] = text
        document["call_args"] = {text: text, "env": text, "limit": text}
        told = tracer.explain(document)
        assert {one.code for one in told.fired} == {
            "SCOPE_VIOLATION",
            "ENV_VIOLATION",
            "DATA_LIMIT_EXCEEDED",
        }
        named = {fact.path: fact for fact in fired(told, "SCOPE_VIOLATION").facts}
        value = named["input.tool_name"]
        assert value.value == text if value.whole else text.startswith(value.value[:-1])


def test_what_is_told_is_bounded(tracer: Tracer) -> None:
    document = whole()
    document["claims"]["allowed_tools"] = [f"tool {number}" for number in range(512)]
    document["call_args"] = {"env": "y" * 1_000_000, "deep": [[[[[[[[1]]]]]]]]}
    told = tracer.explain(document)
    assert len(json.dumps(asdict(told))) < 100_000
    lists = [fact for fact in fired(told, "SCOPE_VIOLATION").facts if isinstance(fact.value, list)]
    assert [(len(fact.value), fact.whole) for fact in lists] == [(11, False)]


def test_an_evaluation_that_fails_is_not_explained(program: Program) -> None:
    broken = dict(program.modules)
    broken["scopebound/deny/broken.rego"] = (
        "package scopebound.deny\n\nimport rego.v1\n\n"
        "violation contains x if {\n\tx := input.call_args.amount / 0\n}\n"
    )
    tracer = Tracer(Program(tuple(broken.items()), program.data, ENTRYPOINT))
    with pytest.raises(EngineError, match="divide by zero"):
        tracer.explain(whole())


def test_an_explanation_survives_the_way_to_the_parent(tracer: Tracer) -> None:
    document = whole()
    document["call_args"] = {"env": "dev"}
    told = tracer.explain(document)
    value = json.loads(json.dumps(asdict(told)))
    assert decode(value) == told
    others: list[Any] = [None, [], {**value, "more": 1}, {**value, "fired": [1]}, {"fired": []}]
    for spoiled in others:
        with pytest.raises(EvaluatorCrashedError):
            decode(spoiled)


def test_conditions_are_those_of_the_alternative_that_was_tried(tracer: Tracer) -> None:
    told = tracer.explain(whole())
    (near,) = (one for one in told.nearly if one.codes == ("DATA_LIMIT_EXCEEDED",))
    assert near.failed.text == "not rows_allowed"
    # The third alternative held, of which these are the conditions.
    assert [item.state for item in near.failed.because] == ["held"] * 3
    assert near.failed.because[-1].text == "rows_unasked"
