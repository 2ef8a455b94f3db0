"""Rules that deny in other ways than the shipped ones are found all the same."""

from typing import Any

import pytest

from scopebound_engine.rego.program import Program
from scopebound_engine.rego.tracing.job import Tracer, value
from scopebound_engine.rego.tracing.told import Condition, Told

GATHERED = """package own

import rego.v1

decision := {"allow": count(denials) == 0, "violations": denials}

denials := [denial | some denial in violation]

violation contains denial if some denial in data.own.rules.violation

violation contains denial if some denial in data.own.more.violation
"""
RULES = """package own.rules

import rego.v1

denial(code, reason) := {
	"code": code,
	"severity": "low",
	"reason": reason,
	"retry_guidance": "none",
}

violation contains denial("HELPED", sprintf("n is %v", [input.call_args.n])) if {
	input.call_args.n > 5
	not exempt
}

exempt if input.claims.role == "admin"

violation contains found if {
	some item in input.call_args.items
	item.price > limit
	found := denial("DEAR", item.name)
}

limit := 10 if {
	not exempt
} else := 100

violation contains denial("EVERY", "not one is small") if {
	every item in input.call_args.items {
		item.price > 1
	}
	count(input.call_args.items) > 0
}

violation contains denial("SILENT", missing_reason) if {
	input.call_args.n > 0
}

missing_reason := "nothing" if input.never
"""
MORE = """package own.more

import rego.v1

violation contains one_line if input.tool_name == "bad"

one_line := {"code": "ONE_LINE", "severity": "low", "reason": "x", "retry_guidance": "none"}

violation contains {
	"code": "WITH",
	"severity": "low",
	"reason": "x",
	"retry_guidance": "none",
} if {
	overridden with input.claims.role as "guest"
}

overridden if input.claims.role == "guest"
"""
# Without a set: each rule is a violation or undefined.
SINGLE = """package own

import rego.v1

decision := {"allow": count(denials) == 0, "violations": denials}

denials := array.concat([one | one := first], [one | one := second])

first := {
	"code": "FIRST",
	"severity": "low",
	"reason": "x",
	"retry_guidance": "none",
} if {
	input.call_args.n > 1
}

second := {"code": "SECOND", "severity": "low", "reason": "y", "retry_guidance": "none"} if {
	input.call_args.n > 2
}
"""


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.split("\n"), 1) if line.startswith(start))


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    modules = (("own/main.rego", GATHERED), ("own/rules.rego", RULES), ("own/more.rego", MORE))
    return Tracer(Program(modules, {}, "own/decision"))


def asked(tracer: Tracer, tool: str = "t", role: str = "user", **args: Any) -> Told:
    return tracer.explain({"tool_name": tool, "claims": {"role": role}, "call_args": args})


def fired(told: Told) -> set[tuple[str, str, int]]:
    return {(one.code, one.file, one.line) for one in told.fired}


def test_the_rule_is_told_that_made_a_violation_and_not_who_handed_it_on(tracer: Tracer) -> None:
    line = next(n for n, text in enumerate(MORE.split("\n"), 1) if text == "violation contains {")
    assert fired(asked(tracer)) == {("WITH", "own/more.rego", line)}


def test_a_helper_that_shapes_violations_is_not_the_rule(tracer: Tracer) -> None:
    told = asked(tracer, n=7)
    start = line_of(RULES, 'violation contains denial("HELPED"')
    assert ("HELPED", "own/rules.rego", start) in fired(told)
    rule = next(one for one in told.fired if one.code == "HELPED")
    assert [item.text for item in rule.conditions] == ["input.call_args.n > 5", "not exempt"]
    assert {fact.path for fact in rule.facts} == {"input.call_args.n", "input.claims.role"}


def test_each_element_that_is_denied_is_told(tracer: Tracer) -> None:
    items = [{"name": "a", "price": 5}, {"name": "b", "price": 11}, {"name": "c", "price": 12}]
    told = asked(tracer, items=items)
    rules = [one for one in told.fired if one.code == "DEAR"]
    assert {one.line for one in rules} == {line_of(RULES, "violation contains found")}
    names = {
        fact.path: fact.value for one in rules for fact in one.facts if fact.path.endswith("name")
    }
    assert names == {"input.call_args.items[1].name": "b", "input.call_args.items[2].name": "c"}
    assert "EVERY" in told.codes


def test_an_every_that_fails_names_itself(tracer: Tracer) -> None:
    told = asked(tracer, items=[{"name": "a", "price": 5}, {"name": "b", "price": 1}])
    near = next(one for one in told.nearly if one.codes == ("EVERY",))
    assert near.failed.text.startswith("every item in input.call_args.items")


def test_a_rule_whose_value_is_undefined_says_so(tracer: Tracer) -> None:
    near = next(one for one in asked(tracer, n=1).nearly if one.codes == ("SILENT",))
    assert (near.held, near.failed.line) == (1, line_of(RULES, 'violation contains denial("SIL'))


def test_a_rule_on_one_line_has_its_condition(tracer: Tracer) -> None:
    rule = next(one for one in asked(tracer, tool="bad").fired if one.code == "ONE_LINE")
    assert [(item.text, item.state) for item in rule.conditions] == [
        ('input.tool_name == "bad"', "held")
    ]
    near = next(one for one in asked(tracer).nearly if one.codes == ("ONE_LINE",))
    assert [(fact.path, fact.value) for fact in near.failed.values] == [("input.tool_name", "t")]


def test_what_a_with_put_in_place_is_no_fact_of_the_input(tracer: Tracer) -> None:
    rule = next(one for one in asked(tracer).fired if one.code == "WITH")
    assert "guest" not in [fact.value for fact in rule.facts]


def test_rules_that_are_violations_are_found_too() -> None:
    tracer = Tracer(Program((("own/main.rego", SINGLE),), {}, "own/decision"))
    told = asked(tracer, n=3)
    assert fired(told) == {
        ("FIRST", "own/main.rego", line_of(SINGLE, "first :=")),
        ("SECOND", "own/main.rego", line_of(SINGLE, "second :=")),
    }
    assert fired(asked(tracer, n=2)) == {
        ("FIRST", "own/main.rego", line_of(SINGLE, "first :=")),
    }


def test_any_rule_has_a_value() -> None:
    modules = {"own/main.rego": GATHERED, "own/rules.rego": RULES, "own/more.rego": MORE}
    document = {"claims": {"role": "admin"}}
    assert value(modules, {}, "own/rules/limit", document) == 100


def test_why_is_told_by_a_bounded_number_of_conditions() -> None:
    # Each of three helpers has eight bodies that ask the next one: 512 ways in all.
    bodies = [f"h{n} if {{\n\th{n + 1}\n\tinput.never\n}}\n" * 8 for n in range(3)]
    policy = SINGLE.replace("input.call_args.n > 1", "not h0")
    policy += "\n".join([*bodies, "h3 if input.never\n"])
    tracer = Tracer(Program((("own/main.rego", policy),), {}, "own/decision"))
    rule = next(one for one in asked(tracer, n=0).fired if one.code == "FIRST")
    assert 50 < _size(rule.conditions) <= 120


def _size(conditions: tuple[Condition, ...]) -> int:
    return sum(1 + _size(condition.because) for condition in conditions)


def test_composite_keys_are_no_places() -> None:
    conditions = 'pairs[["a", 1]]; input.call_args[input.claims]'
    policy = SINGLE.replace("input.call_args.n > 1", conditions)
    policy += '\npairs := {["a", 1]}\n'
    tracer = Tracer(Program((("own/main.rego", policy),), {}, "own/decision"))
    assert asked(tracer, n=3).codes == ("SECOND",)
