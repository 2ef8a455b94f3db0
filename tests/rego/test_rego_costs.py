from collections.abc import Iterable

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.costs import Bound, large_data, large_literals, too_many_rules
from tests.rego.plans import parsed, plan_of

FEW = Bound(3, 5)


def told(findings: Iterable[Finding]) -> list[tuple[str, str, int, str]]:
    return [(item.level, item.file, item.line, item.message) for item in findings]


def module(rules: int) -> str:
    return "package t\n" + "".join(
        f"x contains {n} if {{\n\tinput.n == {n}\n}}\n" for n in range(rules)
    )


def test_rules_are_counted_by_their_heads_over_all_files() -> None:
    assert told(too_many_rules(parsed(module(2), module(1)), FEW)) == []
    assert told(too_many_rules(parsed(module(2), module(2)), FEW)) == [
        ("warning", "", 0, "4 rules; more than 3 slow every call down")
    ]
    assert told(too_many_rules(parsed(module(4), module(9)), FEW)) == [
        ("error", "b.rego", 5, "13 rules; more than 5 are refused")
    ]


def test_an_else_is_no_rule_of_its_own() -> None:
    source = "package t\nx := 1 if {\n\tinput.a\n} else := 2 if {\n\tinput.b\n} else := 3\n"
    assert told(too_many_rules(parsed(source), Bound(1, 1))) == []


def test_large_literals_are_found_but_not_what_a_rule_or_comprehension_gathers() -> None:
    sets = "package t\nx := {1, 2, 3, 4}\ny := {1, 2, 3}\nz := {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}"
    message = "a literal of {} elements, built anew for every call"
    assert told(large_literals(plan_of(sets), FEW)) == [
        ("warning", "a.rego", 2, message.format(4)),
        ("error", "a.rego", 4, message.format(6)),
    ]
    gathered = "package t\nx contains 1\nx contains 2\nx contains 3\nx contains 4"
    assert told(large_literals(plan_of(gathered), FEW)) == []
    assert told(large_literals(plan_of("package t\nx := {y | some y in input.l}"), FEW)) == []


def test_large_data_is_found_with_its_path() -> None:
    data = {"a": {"b": [1, 2, 3, 4]}, "c": [{"d": 1}], "e": dict.fromkeys("abcdef", 1)}
    message = "data.{} entries; more than 3 are slow to search"
    assert told(large_data(data, FEW)) == [
        ("warning", "", 0, message.format("a.b has 4")),
        ("error", "", 0, message.format("e has 6")),
    ]
