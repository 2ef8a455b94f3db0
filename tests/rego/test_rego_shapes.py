import pytest

from scopebound_engine.rego.checks.shapes import (
    negated_comparisons,
    rounded_comparisons,
    untyped_comparisons,
)
from tests.rego.plans import plan_of, told, values_of

DATA = {"config": {"limit": 5, "limits": [1, 2], "names": ["a"]}}


def untyped(*rules: str) -> list[str]:
    return told(untyped_comparisons(values_of(*rules, data=DATA)))


@pytest.mark.parametrize(
    "body",
    [
        "input.call_args.amount < 5",
        "5 > input.call_args.amount",
        "input.call_args.amount >= input.call_args.least",
        "some a in input.call_args.l; a <= 3",
        "[9, 0, 0] < [18, 0, 0]",
        "input.call_args.l < 3; is_number(input.call_args.amount)",
        "is_number(input.call_args.amount) == true; input.call_args.amount < 3",
        "some a in input.call_args.l; is_number(a); some b in input.call_args.l; b < 3",
        "data.config.names[_] < 3",
        "not is_number(input.call_args.amount); input.call_args.amount < 3",
        "count([1 | is_number(input.call_args.amount)]) < 2; input.call_args.amount < 3",
        "every a in input.call_args.l { a < 3 }",
    ],
)
def test_a_comparison_of_who_knows_what_is_found(body: str) -> None:
    assert len(untyped(f"x if {{ {body} }}")) == 1


@pytest.mark.parametrize(
    "body",
    [
        "is_number(input.call_args.amount); input.call_args.amount < 5",
        "input.call_args.amount < 5; is_number(input.call_args.amount)",
        "a := input.call_args.amount; is_number(a); a < 5",
        "some a in input.call_args.l; is_number(a); a < 3",
        "every a in input.call_args.l { is_number(a); a < 3 }",
        "is_number(input.call_args.a); count([1 | input.call_args.a < 3]) == 0",
        "count(input.call_args.l) <= 10",
        "input.call_args.a * 1000 > input.call_args.b + 1",
        "input.now.epoch_ms - input.claims.iat < 5",
        "input.claims.exp * 1000 > input.now.epoch_ms",
        "some d in input.claims.allowed_days; d > 3",
        "input.claims.exp > data.config.limit",
        "input.claims.exp > data.config.limits[_]",
        "ceil(input.call_args.a) == 2",
        "-1 < 2",
    ],
)
def test_a_comparison_of_numbers_passes(body: str) -> None:
    assert untyped(f"x if {{ {body} }}") == []


def test_a_parameter_is_a_number_where_all_calls_pass_one() -> None:
    small = "small(a) if a < 3"
    guarded = "x if { is_number(input.call_args.a); small(input.call_args.a) }"
    assert untyped(small, guarded) == []
    assert untyped(small, guarded, "y if small(input.claims.exp)") == []
    assert len(untyped(small, guarded, "y if small(input.call_args.b)")) == 1
    assert len(untyped(small, "x if input.call_args.a == 1")) == 1


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ("{k: 1 | some k in input.call_args.ks}", 0),
        ("{k: n | some k in input.call_args.ks; n := input.call_args[k]}", 1),
        ("[n | some n in input.call_args.ks; is_number(n)]", 1),
        ("[count(k) | some k in input.claims.allowed_tools]", 0),
        ('{"a": 1, "b": 2}', 0),
        ('{"a": 1, "b": "2"}', 1),
    ],
)
def test_elements_are_what_is_put_into_what_is_made(made: str, found: int) -> None:
    assert len(untyped(f"m := {made}", "x if { some n in m; n < 3 }")) == found


def test_a_guard_counts_for_a_field_of_a_parameter() -> None:
    held = "f(c) if { is_number(c.actual); is_number(c.value); c.actual < c.value }"
    assert untyped("x := 1", held) == []
    assert len(untyped("x := 1", held.replace("is_number(c.value);", ""))) == 1


def test_a_guard_in_another_branch_does_not_count() -> None:
    rule = "f(a) := 1 if { is_number(a) } else := 2 if { a < 3 }"
    assert len(untyped("x := 1", rule)) == 1


def test_what_a_function_returns_is_a_number_if_all_its_values_are() -> None:
    assert untyped("x if f(1) < 3", "f(a) := count(input.call_args.l) if a == 1 else := 7") == []
    assert len(untyped("x if f(1) < 3", 'f(a) := 1 if a == 1 else := "b"')) == 1


def negated(body: str) -> list[str]:
    return told(negated_comparisons(plan_of(f"package t\nx if {{ {body} }}\nf(a) if a == 1")))


@pytest.mark.parametrize("sign", ["<", ">", "<=", ">=", "==", "!="])
def test_a_negated_comparison_of_a_field_is_found(sign: str) -> None:
    message = "2: a negated comparison is true where the value is missing"
    assert negated(f"not input.call_args.amount {sign} 5") == [message]


@pytest.mark.parametrize(
    "body",
    [
        "not f(input.call_args.amount)",
        "not is_number(input.call_args.amount)",
        "not input.tool_name in input.claims.allowed_tools",
        "a := input.call_args.amount; not a == 1",
        "some a in input.call_args.l; not a == 1",
    ],
)
def test_other_negations_pass(body: str) -> None:
    assert negated(body) == []


@pytest.mark.parametrize(
    "body", ["floor(input.call_args.a) > 2", "a := round(input.call_args.a); a < 2"]
)
def test_an_order_of_rounded_numbers_is_found(body: str) -> None:
    assert len(told(rounded_comparisons(values_of(f"x if {{ {body} }}")))) == 1


def test_a_rounded_number_may_be_compared_for_being_the_same() -> None:
    assert told(rounded_comparisons(values_of("x if floor(input.call_args.a) == 2"))) == []
