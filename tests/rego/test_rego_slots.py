"""Policies as authors write them, asked as evaluators run them: what they say stays the same.

A rule may read any part of its input in any way, the whole of it under another name too. The plan
that evaluators run is handed the facts one by one (`slots.py`); here it is held against the plan as
it was compiled. SCOPEBOUND_TEST_EXAMPLES makes it long, SCOPEBOUND_TEST_SEED repeats one.
"""

import json
import os
import random
import secrets
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from scopebound_engine.bundle.format import content
from scopebound_engine.bundle.format.build import build
from scopebound_engine.bundle.gate.calls import typical
from scopebound_engine.bundle.gate.hostile_calls import hostile
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import EngineError
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast
from scopebound_engine.rego.engine import compile_program
from scopebound_engine.rego.lean import lean
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.program import Program

EXAMPLES = int(os.environ.get("SCOPEBOUND_TEST_EXAMPLES", "6"))
SEED = int(os.environ.get("SCOPEBOUND_TEST_SEED") or secrets.randbelow(1 << 32))
X = "t/x"
KEYS = ["a", "b", "c", "k", "é", 'q"\\', "0", "1"]
SCALARS = [0, 1, -1, 2.5, "", "a", "b", "k", "é", True, False, None]

POLICIES = {
    "a literal path": "x := input.a.b",
    "a path beside its parent": "x := [input.a.b, input.a]",
    "only the type": "x if is_object(input.a.b)",
    "only that it is there": "x if not y\ny if _ = input.a.b",
    "a condition": "x if input.a.b",
    "a comparison": 'x if input.a.b == "b"',
    "two compared": "x if input.a == input.b.c",
    "the whole input": "x := input",
    "the whole input in a text": 'x := sprintf("%v", [input])',
    "the whole input to a function": "x := f(input)\nf(v) := v.a.b",
    "a part to a function": "x := f(input.a)\nf(v) := v.b",
    "parts to one function": "x := [f(input.a), f(input.b)]\nf(v) := v.c",
    "a part through functions": "x := f(g(input))\nf(v) := v.b\ng(v) := v.a",
    "a rule for a part": "x := y.b\ny := input.a",
    "a rule with two values": (
        "x := y.b\ny := input.a if input.c == 1\ny := input.b if input.k == 1"
    ),
    "a rule with an else": "x := y.b\ny := input.a if { input.c } else := input.b",
    "a default": "x := y.b\ndefault y := {}\ny := input.a",
    "some with a key": "x contains [k, v] if { some k, v in input.a }",
    "some of the whole": "x contains [k, v] if { some k, v in input }",
    "below an element": "x := [v.b | some v in input.a]",
    "an index": "x := input.a[0].b",
    "a computed key": "x := input.a[input.k]",
    "a computed key of the whole": "x := input[input.k]",
    "a key by a variable": 'x := v if { k := "b"; v := input.a[k] }',
    "keys of a list": 'x := [input.a[k] | some k in ["b", "c"]]',
    "keys of a set": 'x contains input.a[k] if some k in {"b", "c"}',
    "keys of a list in a rule": 'x := [input.a[k] | some k in y]\ny := ["b"]',
    "keys of a list with a part": 'x := [input.a[k] | some k in ["b", input.k]]',
    "keys found": "x := [k | input.a[k]]",
    "keys as a parameter": 'x := [f("b"), f(input.c)]\nf(k) := object.get(input.a, k, 0)',
    "an odd key": 'x := input["é"]["q\\"\\\\"]',
    "a key that is written with an escape": 'x := [v | v := input["\\u00e9"]]',
    "a part under an escape": 'x := [v | v := input["\\u00e9"].a.b]',
    "an escape below a part": 'x := [v | v := input.a["\\u00e9"].b]',
    "a number as a key": "x := input.a[1]",
    "true as a key": "x := [v | v := input.a[true].b]",
    "a text of digits as a key": 'x := input.a["1"]',
    "object.get": 'x := object.get(input, ["a", "b"], 3)',
    "object.get of a part": 'x := object.get(input.a, "b", 3)',
    "object.keys": "x := object.keys(input.a)",
    "count": "x := count(input.a)",
    "membership": "x if input.a in input.b",
    "an object made": 'x := {"v": input.a}.v.b',
    "an array made": "x := [input.a][0].b",
    "a set of parts": "x := {input.a, input.b}",
    "a comprehension in a function": "x := f(input.a)\nf(v) := {k: w | some k, w in v.b}",
    "every": "x if { every v in input.a.b { v == 1 } }",
    "a partial object": "x[k] := v if some k, v in input.a",
    "unified": "x := v if { v = input.a.b }",
    "destructured": "x := v if [v, _] = input.a",
    "destructured object": 'x := v if {"b": v} = input.a',
    "the input as a variable": "x := y.a.b if y := input",
    "a function replaced": (
        "x := v if { v := f(1) with f as g }\nf(v) := [input.b, v]\ng(v) := [input.a.c, v]"
    ),
    "a function that calls another for one of its callers": (
        "x := [v, w] if { v := f(input.a) with g as h; w := f(input.b) }\n"
        "f(v) := g(v.c)\ng(v) := v\nh(v) := [v]"
    ),
    "too few arguments": "x := f(input.a)\nf(v, w) := v.b",
    "too many arguments": "x := f(input.a, input.b, input.c)\nf(v, w) := v.b",
    "nothing": "x := 1",
    "the whole input by a rule, counted": "x := count(y)\ny := input",
    "the whole input by a rule, in an array": "x := [y]\ny := input",
    "a key of a rule for the input": "x := y.a\ny := input",
    "a computed key of a rule for the input": "x := y[input.k]\ny := input",
    "the whole input by a function": "x := f(1)\nf(_) := input",
    "the whole input through a function": "x := count(f(input))\nf(v) := v",
    "some of a rule for the input": "x contains k if { some k, v in y }\ny := input",
    "the whole input by an else": "x := count(y)\ny := input.a if { input.c == 1 } else := input",
    "the whole input by a rule, in a text": 'x := sprintf("%v",[y])\ny := input',
    "parts of a rule for the input": 'x := {"i": y.a, "j": input.b}\ny := input',
    "the whole input compared": "x if y == input.a\ny := input",
    "the whole input in a set": "x contains y\ny := input",
    "a part and the whole to one function": "x := [f(input.a), f(input)]\nf(v) := v.b",
    "a part and the whole as parameters": (
        "x := [g(input.a, input), g(input.b, input)]\ng(v, w) := [v.c, w.k]"
    ),
    "loops in loops": "x contains [i, k] if { some i, v in input.a; some k, w in v }",
    "what is absent or false": "x := 1 if { not input.a.b }",
    "what is not false": "x := 1 if { not y }\ny if input.a.b == false",
    "null": (
        "x := [y, z]\n"
        "y := 1 if { input.a == null }\ny := 2 if { input.a != null }\nz := is_null(input.a)"
    ),
    "whether it is null": "x := is_null(input.k)",
    "its kind": "x := [is_object(input.a), is_array(input.a), is_string(input.a)]",
    "below any element": "x contains v if { v := input.a[_].b }",
    "a path in two steps": "x := v.b.c if { v := input.a }",
    "a function with a default": "x := f(input.a)\ndefault f(_) := 0\nf(v) := v.b if { v.c == 1 }",
    "whether it is empty": "x := [input.a == {}, input.a == []]",
    "a part counted beside what is in it": "x := [count(input.a), input.a.b]",
    "unified with another part": "x := [v | v := input.a.b; v == input.b.b]",
}


def compiled(modules: dict[str, str], data: dict[str, Any], entrypoint: str) -> LoadedPlan:
    """The plan as the compiler made it."""
    document, frame = compile_fast(modules, [entrypoint], data)
    functions = sorted(Plan(document, modules).functions)
    return LoadedPlan(Encoder(document, frame).encode([entrypoint], functions))


def answer(plan: LoadedPlan, document: Any) -> str:
    """The value of x, in which 1 is not true; or why there is none."""
    plan.set_input(document)
    try:
        return repr(plan.value(X))
    except EngineError as error:
        plan.forget()
        return str(error)


def value(rng: random.Random, depth: int = 0) -> Any:
    """A random JSON value, of few keys, so that rules find some."""
    kind = rng.random()
    if depth < 4 and kind < 0.6:
        names = rng.sample(KEYS, rng.randrange(len(KEYS)))
        return {name: value(rng, depth + 1) for name in names}
    if depth < 4 and kind < 0.7:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return rng.choice(SCALARS)


def full(rng: random.Random) -> dict[str, Any]:
    """An input that has every key, on two levels."""
    return {name: {below: value(rng, 2) for below in KEYS} for name in KEYS}


def inputs(rng: random.Random) -> Iterator[Any]:
    for _ in range(EXAMPLES):
        yield {name: value(rng, 1) for name in rng.sample(KEYS, 4)}
        made = full(rng)
        made["k"] = rng.choice(KEYS)
        yield made
        # Equal in some places, so that comparisons hold and rules conflict or do not.
        yield {**made, "a": deepcopy(made["b"]), "c": 1, "k": rng.choice([1, "b"])}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_says_the_same_as_evaluators_run_it(name: str) -> None:
    modules = {"t.rego": f"package t\nimport rego.v1\n{POLICIES[name]}\n"}
    plain, made = compiled(modules, {}, X), lean(*compile_fast(modules, [X], {}), modules, [X])
    loaded, rng = LoadedPlan(made.plan), random.Random(f"{SEED} {name}")
    for document in inputs(rng):
        assert answer(loaded, made.input(document)) == answer(plain, document), (SEED, document)


def damaged(facts: Any, rng: random.Random) -> Any:
    """The same with some values replaced or left out, anywhere."""
    if type(facts) is dict:
        kept = [name for name in facts if rng.random() > 0.05]
        return {name: damaged(facts[name], rng) for name in kept}
    if type(facts) is list:
        return [damaged(item, rng) for item in facts]
    return value(rng, 3) if rng.random() < 0.15 else facts


def test_the_shipped_rules_say_the_same_to_the_letter() -> None:
    files = build(SHIPPED / "policies", SHIPPED / "manifest.json")
    modules, data = content.modules(files, tests=False), content.data(files)
    entrypoint = json.loads(files["manifest.json"])["entrypoint"]
    plain = compiled(modules, data, entrypoint)
    evaluator = compile_program(Program(tuple(modules.items()), data, entrypoint))
    rng, denials = random.Random(SEED), 0
    for case in (*typical(), *hostile([], [["amount"], ["env"], ["limit"]], [])):
        for facts in (case.facts, damaged(case.facts, rng)):
            plain.set_input(facts)
            expected, found = plain.outcome(entrypoint), evaluator.evaluate(facts)
            assert found == expected, (SEED, facts)
            assert json.dumps(found.violations) == json.dumps(expected.violations)
            denials += not expected.allow
    assert denials > 50
