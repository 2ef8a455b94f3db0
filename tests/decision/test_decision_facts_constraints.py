"""A constraint's field is read in both ways, and judged only where its value is fit for that."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine.decision.facts import Call, build
from scopebound_engine.matching.patterns import MAX_MATCHING_STEPS
from tests.decision.facts_samples import (
    ABSENT,
    CLAIMS,
    SESSION,
    UNFIT,
    WEDNESDAY_MS,
    constrained,
    constraints,
    findings,
    fit,
)


def test_an_unconstrained_tool_has_no_constraints() -> None:
    assert constraints(CLAIMS, {"to": "x"}, tool="pay") == []


@pytest.mark.parametrize(
    ("call_args", "expected"),
    [
        ({}, [ABSENT]),
        ({"b": 1}, [ABSENT]),
        ({"a.b": 1}, [fit(1)]),
        ({"a": {"b": 1}}, [fit(1)]),
        ({"a.b": 1, "a": {"b": 2}}, [fit(1), fit(2)]),
        ({"a": {}}, [ABSENT]),
        ({"a": {}, "a.b": 1}, [fit(1)]),
        ({"a": {"b": None}}, [fit(None)]),
        ({"a": None}, [UNFIT]),
        ({"a": "b"}, [UNFIT]),
        ({"a": [1]}, [UNFIT]),
        ({"a": 1}, [UNFIT]),
        ({"a": True}, [UNFIT]),
        ({"a": "x", "a.b": 1}, [fit(1), UNFIT]),
    ],
)
def test_a_dotted_field_is_read_as_a_key_and_as_a_path(
    call_args: dict[str, Any], expected: list[Any]
) -> None:
    assert findings("eq", 1, call_args) == expected


def test_a_field_without_a_dot_has_one_reading() -> None:
    assert findings("eq", 1, {"amount": {"amount": 1}}, "amount") == [fit({"amount": 1})]
    assert findings("eq", 1, {}, "amount") == [ABSENT]


def test_a_long_path_goes_through_objects_only() -> None:
    assert findings("eq", 1, {"a": {"b": {"c": 1}}}, "a.b.c") == [fit(1)]
    assert findings("eq", 1, {"a": {"b": []}}, "a.b.c") == [UNFIT]
    assert findings("eq", 1, {"a": {"x": []}}, "a.b.c") == [ABSENT]


KEYS = st.sampled_from(["a", "b", "a.b", "b.a", "a.a"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=3), st.sampled_from(["a", "a.b", "b.a", "a.a.b"]))
def test_every_value_that_either_reading_finds_is_judged(
    call_args: dict[str, Any], field: str
) -> None:
    found = findings("eq", 1, call_args, field)
    expected = [call_args[field]] if field in call_args else []
    value: Any = call_args
    for key in field.split(".") if "." in field else []:
        value = value.get(key, ABSENT) if isinstance(value, dict) and value is not ABSENT else UNFIT
        if value is ABSENT or value is UNFIT:
            break
    blocked = value is UNFIT
    if "." in field and value is not ABSENT and not blocked:
        expected.append(value)

    assert [entry["actual"] for entry in found if "actual" in entry] == expected
    assert (UNFIT in found) is blocked
    assert (ABSENT in found) is (not expected and not blocked)


@pytest.mark.parametrize("operator", ["lt", "gt"])
@pytest.mark.parametrize(
    ("actual", "number"),
    [(1, True), (1.5, True), (True, False), ("1", False), (None, False), ([], False), ({}, False)],
)
def test_only_numbers_are_fit_to_be_compared(operator: str, actual: Any, number: bool) -> None:
    assert findings(operator, 5, {"n": actual}, "n") == [fit(actual) if number else UNFIT]


@pytest.mark.parametrize("operator", ["contains", "regex"])
@pytest.mark.parametrize("actual", [1, True, None, ["approved"], {"approved": 1}])
def test_only_strings_are_fit_to_be_matched(operator: str, actual: Any) -> None:
    assert findings(operator, "approved", {"n": actual}, "n") == [UNFIT]


@pytest.mark.parametrize(
    ("operator", "value", "actual", "matched"),
    [
        ("contains", "approved", "was approved.", True),
        ("contains", "approved", "Approved", False),
        ("contains", ".*", "approved", False),
        ("contains", "\n", 'a"\n', True),
        ("regex", "^a$", "a", True),
        ("regex", "^a$", "a\n", False),
        ("regex", "^é.$", "é🙂", True),
        ("regex", "^(?!main$).+$", "main", False),
    ],
)
def test_text_is_matched_on_the_real_string(
    operator: str, value: str, actual: str, matched: bool
) -> None:
    assert findings(operator, value, {"n": actual}, "n") == [fit(actual, matched=matched)]


@pytest.mark.parametrize("operator", ["eq", "in"])
def test_any_value_is_fit_to_be_equal(operator: str) -> None:
    for actual in (None, True, 1, 1.5, "a", [1], {"a": 1}):
        assert findings(operator, [1], {"n": actual}, "n") == [fit(actual)]


def test_a_pattern_that_does_not_compile_is_not_judged() -> None:
    assert findings("regex", "(", {"n": "("}, "n") == [UNFIT]


def test_values_too_long_for_their_patterns_are_not_judged() -> None:
    slow = "^(?:[a-z]{0,30}-){20}$"
    text = "a" * 200_000

    assert findings("regex", slow, {"n": text}, "n") == [UNFIT]
    assert findings("regex", slow, {"n": text[:2000]}, "n") == [fit(text[:2000], matched=False)]
    assert findings("regex", r"^https://", {"n": text}, "n") == [fit(text, matched=False)]


def test_the_patterns_of_one_call_share_their_time() -> None:
    text = "a" * 1_000_000
    rule = {"field": "n", "operator": "contains", "value": "b", "required": False}
    claims = {**CLAIMS, "parameter_constraints": {"pay": [rule] * 40}}
    judged = [entry["fit"] for entry in constraints(claims, {"n": text})]

    assert judged == [True] * (MAX_MATCHING_STEPS // len(text)) + [False] * 7


@pytest.mark.parametrize(
    "ill_formed",
    [
        None,
        [],
        "pay",
        {"pay": None},
        {"pay": {}},
        {"pay": ["amount < 5"]},
        {"pay": [{"field": "a", "operator": "eq", "required": False}]},
        {"pay": [{"field": 1, "operator": "eq", "value": 1, "required": False}]},
        {"pay": [{"field": "a", "operator": "eq", "value": 1}]},
    ],
)
def test_ill_formed_constraints_are_left_out_so_that_the_policy_denies(ill_formed: Any) -> None:
    claims = {**CLAIMS, "parameter_constraints": ill_formed}
    document = build(Call("tool_call", "pay", {"a": 1}, "c"), claims, WEDNESDAY_MS, SESSION)

    assert "constraints" not in document


def test_missing_constraints_are_left_out() -> None:
    claims = {name: claim for name, claim in CLAIMS.items() if name != "parameter_constraints"}

    assert "constraints" not in build(Call("tool_call", "pay", {}, "c"), claims, 0, SESSION)


def test_a_constraint_the_claims_call_required_says_so() -> None:
    (entry,) = constraints(constrained("a", "eq", 1, required=True), {})

    assert entry == {"field": "a", "operator": "eq", "value": 1, "required": True, **ABSENT}


@pytest.mark.parametrize("operator", ["eq", "in"])
@pytest.mark.parametrize(
    ("value", "actual"),
    [
        (100, 100.00000000000001),
        (0.1, 0.10000000000000002),
        (1e-300, 1.0000000000000002e-300),
        ([1, {"a": 0.5}], [1, {"a": 0.5000000000000001}]),
    ],
)
def test_what_the_engine_could_take_for_equal_is_unfit(
    operator: str, value: Any, actual: Any
) -> None:
    expected = [value] if operator == "in" else value
    assert findings(operator, expected, {"n": actual}, "n") == [{"present": True, "fit": False}]


@pytest.mark.parametrize("operator", ["eq", "in"])
@pytest.mark.parametrize(
    ("value", "actual"),
    [
        (100, 100),
        (0.1, 0.1),
        (0.30000000000000004, 0.30000000000000004),
        (1.5, 2.5),
        (1.5, "1.5"),
        ([0.1, 1], [0.1, 2]),
        (100, True),
        (100, None),
    ],
)
def test_what_the_engine_compares_exactly_is_fit(operator: str, value: Any, actual: Any) -> None:
    expected = [value] if operator == "in" else value
    assert findings(operator, expected, {"n": actual}, "n") == [fit(actual)]
