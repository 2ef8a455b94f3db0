from scopebound_engine.rego.checks.costs import Bounds, too_much
from tests.rego.plans import plan_of, told

SMALL = Bounds(rules=2, literal_elements=3, data_entries=3)


def test_too_many_rules_are_found() -> None:
    plan = plan_of("package t\nx := 1\ny := 2\nf(a) := a")
    assert told(too_much(plan, {}, SMALL)) == ["0: 3 rules and functions; at most 2 are allowed"]


def test_large_literals_are_found_but_not_what_a_rule_or_comprehension_gathers() -> None:
    sets = "package t\nx := {1, 2, 3, 4}\ny := {1, 2, 3}"
    assert told(too_much(plan_of(sets), {}, SMALL)) == [
        "2: a literal of 4 elements, built anew for every call"
    ]
    gathered = "package t\nx contains 1\nx contains 2\nx contains 3\nx contains 4"
    assert told(too_much(plan_of(gathered), {}, SMALL)) == []
    assert told(too_much(plan_of("package t\nx := {y | some y in input.l}"), {}, SMALL)) == []


def test_large_data_is_found_with_its_path() -> None:
    data = {"a": {"b": [1, 2, 3, 4]}, "c": [{"d": 1}]}
    assert told(too_much(plan_of("package t\nx := 1"), data, SMALL)) == [
        "0: data.a.b has 4 entries; at most 3 are allowed"
    ]
