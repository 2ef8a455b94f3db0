"""What a plan reads of its input is all that its verdicts depend on; and it is not everything.

SCOPEBOUND_TEST_EXAMPLES makes it long, SCOPEBOUND_TEST_SEED repeats one.
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
from scopebound_engine.errors import EngineError, EvaluationError
from scopebound_engine.rego import projection
from scopebound_engine.rego.binary import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast
from scopebound_engine.rego.engine import Compiled, compile_program
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.projection import WHOLE, Tree, project

EXAMPLES = int(os.environ.get("SCOPEBOUND_TEST_EXAMPLES", "12"))
SEED = int(os.environ.get("SCOPEBOUND_TEST_SEED") or secrets.randbelow(1 << 32))
X = "t/x"
KEYS = ["a", "b", "c", "k", "é", 'q"\\', "0", "1"]
SCALARS = [0, 1, -1, 2.5, "", "a", "b", "k", "é", True, False, None]

# What authors write, and how much of the input it reads.
POLICIES: dict[str, tuple[str, Tree]] = {
    "a literal path": ("x := input.a.b", {"a": {"b": True}}),
    "a path beside its parent": ("x := [input.a.b, input.a]", {"a": True}),
    "only the type": ("x if is_object(input.a.b)", {"a": {"b": {}}}),
    "only that it is there": ("x if not y\ny if _ = input.a.b", {"a": {"b": {}}}),
    "a condition": ("x if input.a.b", {"a": {"b": {}}}),
    "a comparison": ('x if input.a.b == "b"', {"a": {"b": True}}),
    "two compared": ("x if input.a == input.b.c", {"a": True, "b": {"c": True}}),
    "the whole input": ("x := input", WHOLE),
    "the whole input in a text": ('x := sprintf("%v", [input])', WHOLE),
    "the whole input to a function": ("x := f(input)\nf(v) := v.a.b", {"a": {"b": True}}),
    "a part to a function": ("x := f(input.a)\nf(v) := v.b", {"a": {"b": True}}),
    "parts to one function": (
        "x := [f(input.a), f(input.b)]\nf(v) := v.c",
        {"a": {"c": True}, "b": {"c": True}},
    ),
    "a part through functions": (
        "x := f(g(input))\nf(v) := v.b\ng(v) := v.a",
        {"a": {"b": True}},
    ),
    "a rule for a part": ("x := y.b\ny := input.a", {"a": {"b": True}}),
    "a rule with two values": (
        "x := y.b\ny := input.a if input.c == 1\ny := input.b if input.k == 1",
        {"a": True, "b": True, "c": True, "k": True},
    ),
    "a rule with an else": (
        "x := y.b\ny := input.a if { input.c } else := input.b",
        {"a": True, "b": True, "c": {}},
    ),
    "a default": ("x := y.b\ndefault y := {}\ny := input.a", {"a": True}),
    "some with a key": ("x contains [k, v] if { some k, v in input.a }", {"a": True}),
    "some of the whole": ("x contains [k, v] if { some k, v in input }", WHOLE),
    "below an element": ("x := [v.b | some v in input.a]", {"a": True}),
    "an index": ("x := input.a[0].b", {"a": True}),
    "a computed key": ("x := input.a[input.k]", {"a": True, "k": True}),
    "a computed key of the whole": ("x := input[input.k]", WHOLE),
    "a key by a variable": ('x := v if { k := "b"; v := input.a[k] }', {"a": {"b": True}}),
    "keys of a list": (
        'x := [input.a[k] | some k in ["b", "c"]]',
        {"a": {"b": True, "c": True}},
    ),
    "keys of a set": (
        'x contains input.a[k] if some k in {"b", "c"}',
        {"a": {"b": True, "c": True}},
    ),
    "keys of a list in a rule": ('x := [input.a[k] | some k in y]\ny := ["b"]', {"a": True}),
    "keys of a list with a part": (
        'x := [input.a[k] | some k in ["b", input.k]]',
        {"a": True, "k": True},
    ),
    "keys found": ("x := [k | input.a[k]]", {"a": True}),
    "keys as a parameter": (
        'x := [f("b"), f(input.c)]\nf(k) := object.get(input.a, k, 0)',
        {"a": True, "c": True},
    ),
    "an odd key": ('x := input["é"]["q\\"\\\\"]', {"é": {'q"\\': True}}),
    "a number as a key": ("x := input.a[1]", {"a": True}),
    "a text of digits as a key": ('x := input.a["1"]', {"a": {"1": True}}),
    "object.get": ('x := object.get(input, ["a", "b"], 3)', WHOLE),
    "object.get of a part": ('x := object.get(input.a, "b", 3)', {"a": True}),
    "object.keys": ("x := object.keys(input.a)", {"a": True}),
    "count": ("x := count(input.a)", {"a": True}),
    "membership": ("x if input.a in input.b", {"a": True, "b": True}),
    "an object made": ('x := {"v": input.a}.v.b', {"a": True}),
    "an array made": ("x := [input.a][0].b", {"a": True}),
    "a set of parts": ("x := {input.a, input.b}", {"a": True, "b": True}),
    "a comprehension in a function": (
        "x := f(input.a)\nf(v) := {k: w | some k, w in v.b}",
        {"a": {"b": True}},
    ),
    "every": ("x if { every v in input.a.b { v == 1 } }", {"a": {"b": True}}),
    "a partial object": ("x[k] := v if some k, v in input.a", {"a": True}),
    "unified": ("x := v if { v = input.a.b }", {"a": {"b": True}}),
    "destructured": ("x := v if [v, _] = input.a", {"a": True}),
    "destructured object": ('x := v if {"b": v} = input.a', {"a": True}),
    "the input as a variable": ("x := y.a.b if y := input", {"a": {"b": True}}),
    "a function replaced": (
        "x := v if { v := f(1) with f as g }\nf(v) := [input.b, v]\ng(v) := [input.a.c, v]",
        {"a": {"c": True}, "b": True},
    ),
    "nothing": ("x := 1", {}),
}


def read(source: str) -> Tree:
    """What the rules of a module read."""
    modules = {"t.rego": f"package t\nimport rego.v1\n{source}\n"}
    document, _ = compile_fast(modules, [X], {})
    return projection.read_of(document, Plan(document, modules))


class Asked:
    """A policy, asked for x with all of an input and with what it reads of it."""

    def __init__(self, source: str) -> None:
        modules = {"t.rego": f"package t\nimport rego.v1\n{source}\n"}
        document, frame = compile_fast(modules, [X], {"d": {}})
        plan = Plan(document, modules)
        self.tree = projection.read_of(document, plan)
        self._plan = LoadedPlan(Encoder(document, frame).encode([X], sorted(plan.functions)))

    def value(self, document: Any) -> Any:
        self._plan.set_input(document)
        try:
            return self._plan.value(X)
        except (EvaluationError, EngineError) as error:
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
        yield value(rng)
        made = full(rng)
        made["k"] = rng.choice(KEYS)
        yield made
        # Equal in some places, so that comparisons hold and rules conflict or do not.
        yield {**made, "a": deepcopy(made["b"]), "c": 1, "k": rng.choice([1, "b"])}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_says_the_same_of_what_it_reads(name: str) -> None:
    source, tree = POLICIES[name]
    asked, rng = Asked(source), random.Random(f"{SEED} {name}")
    assert asked.tree == tree
    for document in inputs(rng):
        lean = project(document, asked.tree)
        assert asked.value(lean) == asked.value(document), (SEED, document)


def test_two_values_of_one_rule_conflict_as_before() -> None:
    asked = Asked("x := y.b\ny := input.a if input.c == 1\ny := input.b if input.k == 1")
    document = {"a": {"b": 1, "c": 2}, "b": {"b": 1, "c": 3}, "c": 1, "k": 1}
    assert "conflict" in asked.value(document)
    assert "conflict" in asked.value(project(document, asked.tree))


def test_what_is_no_object_is_kept_and_what_is_one_stays_one() -> None:
    tree: Tree = {"a": {"b": {}}, "c": True}
    assert project({"a": [{"x": 1}], "c": {"y": 1}, "d": 1}, tree) == {
        "a": [{"x": 1}],
        "c": {"y": 1},
    }
    assert project({"a": {"b": {"x": 1}, "x": 2}}, tree) == {"a": {"b": {}}}
    assert project("text", tree) == "text"
    document = {"d": 1}
    assert project(document, WHOLE) is document


def test_a_rule_that_would_read_on_for_ever_reads_all() -> None:
    tree, depth = read("x := f(input)\nf(v) := f(v.a) if v.b\nf(v) := 1 if not v.b"), 0
    while type(tree) is dict:
        tree, depth = tree["a"], depth + 1
    assert (tree, depth > 50) == (True, True)


def test_of_an_input_that_is_replaced_nothing_is_left_out() -> None:
    # Not asked: the engine's process ends where it evaluates this for some inputs.
    assert read("x := v if { v := y with input.a as 1 }\ny := input.b") is True


def test_where_something_unknown_is_called_nothing_is_left_out() -> None:
    # The engine makes a call of `input.b` out of it.
    assert read("x := v if { v := y with data.t.z as input.b }\ny := [z]\nz := 1") is True


@pytest.fixture(scope="module")
def shipped() -> tuple[Compiled, LoadedPlan, Tree]:
    files = build(SHIPPED / "policies", SHIPPED / "manifest.json")
    modules, data = content.modules(files, tests=False), content.data(files)
    entrypoint = json.loads(files["manifest.json"])["entrypoint"]
    document, frame = compile_fast(modules, [entrypoint], data)
    plan = Plan(document, modules)
    encoder = Encoder(document, frame)
    loaded = LoadedPlan(encoder.encode([entrypoint], sorted(plan.functions)))
    program = Program(tuple(modules.items()), data, entrypoint)
    return compile_program(program), loaded, projection.read_of(document, plan)


def damaged(facts: Any, rng: random.Random) -> Any:
    """The same with some values replaced or left out, anywhere."""
    if type(facts) is dict:
        kept = [name for name in facts if rng.random() > 0.05]
        return {name: damaged(facts[name], rng) for name in kept}
    if type(facts) is list:
        return [damaged(item, rng) for item in facts]
    return value(rng, 3) if rng.random() < 0.15 else facts


def test_the_shipped_rules_say_the_same_to_the_letter(
    shipped: tuple[Compiled, LoadedPlan, Tree],
) -> None:
    whole, loaded, tree = shipped
    assert type(tree) is dict
    assert "call_id" not in tree
    assert {"iss", "jti", "sub", "role_id"}.isdisjoint(tree["claims"])
    rng, entrypoint, denials = random.Random(SEED), "scopebound/decision", 0
    calls = [*typical(), *hostile([], [["amount"], ["env"], ["limit"]], [])]
    for case in calls:
        for facts in (case.facts, damaged(case.facts, rng)):
            expected = whole.evaluate(facts)
            loaded.set_input(project(facts, tree))
            found = loaded.outcome(entrypoint)
            assert found == expected, (SEED, facts)
            assert json.dumps(found.violations) == json.dumps(expected.violations)
            denials += not expected.allow
    assert denials > 50
