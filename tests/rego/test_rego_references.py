import pytest

from scopebound_engine.rego.checks.references import broken_references, missing_entrypoint
from tests.rego.plans import plan_of, told


def broken(*rules: str) -> list[str]:
    return told(broken_references(plan_of("\n".join(["package t", "x := 1", *rules]))))


def test_a_sound_policy_refers_to_what_is_there() -> None:
    assert broken("y if { some a, b in input.o; f(a) == b }", "f(z) := z + 1") == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("y if nothing_of_it(1)", "3: there is no function nothing_of_it"),
        ("y if data.t.helper(1)", "3: there is no function data.t.helper"),
        ("y := count([1], [2], [3])", "3: count takes 1 arguments, here are 3"),
        ("y := g(1)\ng(a, b) := a + b", "3: t.g takes 2 arguments, here are 1"),
        ("y if input.tool_name in bad_tools", "3: bad_tools is never given a value"),
        ("y if some a in bad_tools", "3: bad_tools is never given a value"),
        ("y if { every a in bad_tools { a } }", "3: bad_tools is never given a value"),
        ("y if not granted", "3: granted is never given a value"),
        ('y := {"a": amount}', "3: amount is never given a value"),
        ("y contains amount", "3: amount is never given a value"),
        ("y if missing.field[0]", "3: missing is never given a value"),
        ("y if {\n\tinput.a == 1\n\tinput.b == oops\n}", "5: oops is never given a value"),
        ("y if not y", "3: the rule depends on itself: t.y → t.y"),
        ("y if z\nz if w\nw if y", "5: the rule depends on itself: t.w → t.y → t.z → t.w"),
        ("g(n) := g(n - 1)", "3: the rule depends on itself: t.g → t.g"),
    ],
)
def test_what_is_not_there_is_found_with_its_line(rule: str, message: str) -> None:
    assert message in broken(rule)


def test_an_entrypoint_is_a_rule() -> None:
    plan = plan_of("package t\nx := 1\nf(a) := a")
    assert told(missing_entrypoint(plan, "t/x")) == []
    assert told(missing_entrypoint(plan, "t/y")) == ["0: no rule defines the entrypoint t/y"]
    assert told(missing_entrypoint(plan, "t/f")) == ["0: no rule defines the entrypoint t/f"]


def test_a_variable_that_the_engine_loses_inside_of_every_is_found() -> None:
    (found,) = broken("y if { every a in input.l { not f(a) } }", "f(a) if a == 7")
    assert found.startswith("3: the engine loses a variable of this expression")
    assert broken("y if { every a in input.l { g(a) } }", "g(a) if not a == 7") == []


@pytest.mark.parametrize(
    "rule",
    [
        "y if { a == 5; a := input.n }",
        "y if { f(a); a := input.n }\nf(z) if z == 1",
        "y if { b > 5; a := input.n; b := a + 1 }",
        "y if { l := [a | some a in input.l; a == b]; b := 3; count(l) == 1 }",
    ],
)
def test_a_variable_that_is_used_before_it_has_a_value_is_found(rule: str) -> None:
    assert broken(rule) == ["3: a variable is used before the line that gives it a value"]


@pytest.mark.parametrize(
    "rule",
    [
        "y if { a := input.n; a == 5 }",
        "y := a if { a := input.n }",
        "y if { input.o[a] == 1; a := input.k }",
        "y if { a == 4; some a in input.l }",
        "y if { input.l[i] == 3; input.m[i] == 4 }",
        "y if { q == 4; [_, q] = input.l }",
        "y if { every k, v in input.l { w := v; w != k } }",
        "y if { l := [b | some a in input.l; b := a]; count(l) == 1 }",
        "f(a) := 1 if { b := a; b == 1 } else := 2 if { b := a; b == 2 }",
        'f("a", z) if z == 1\nf("b", z) if z == 2',
    ],
)
def test_variables_that_have_a_value_in_time_pass(rule: str) -> None:
    assert broken(rule) == []
