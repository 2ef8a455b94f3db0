import json
from collections.abc import Callable
from typing import Any

import pytest
import regopy
from hypothesis import given, settings
from hypothesis import strategies as st

from scopebound_engine import strict_json
from scopebound_engine.errors import EvaluationError, InputError
from scopebound_engine.rego import native
from scopebound_engine.rego.engine import Program, compile_program
from scopebound_engine.rego.input import MAX_DEPTH, set_input, set_input_text, set_input_tree
from scopebound_engine.rego.outcome import read_value

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NUMBERS = (
    st.integers()
    | st.integers(-(10**63), 10**63)
    | st.integers(2**63 - 2, 2**63 + 2)
    | st.floats(-1e300, 1e300, allow_subnormal=False)
    | st.decimals(-1000, 1000, places=3).map(float)
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=25,
).map(lambda value: strict_json.loads(json.dumps(value).encode()))

SETTERS: list[Callable[[int, Any], object]] = [set_input, set_input_text]


class Echo:
    """A policy `x := input`, asked through either way of setting the input."""

    def __init__(self) -> None:
        builder = regopy.Interpreter()
        builder.add_module("t.rego", "package t\nx := input\n")
        self._builder, self._bundle = builder, builder.build(None, ["t/x"])
        self._interpreter = regopy.Interpreter()
        self.handle: int = self._interpreter._impl

    def read(self) -> Any:
        output = native.query(self.handle, self._bundle._impl, b"t/x")
        try:
            return read_value(output)
        finally:
            native.free_output(output)


@pytest.fixture(scope="module")
def echo() -> Echo:
    return Echo()


def typed(value: Any) -> str:
    """JSON text, because in Python True == 1 and 1 == 1.0."""
    return json.dumps(value, sort_keys=True)


@settings(max_examples=300, deadline=None)
@given(value=JSON)
def test_what_is_read_back_is_what_was_put_in_by_either_way(echo: Echo, value: Any) -> None:
    set_input_text(echo.handle, value)
    assert typed(echo.read()) == typed(value)
    if set_input_tree(echo.handle, value):
        assert typed(echo.read()) == typed(value)


@settings(max_examples=200, deadline=None)
@given(value=JSON)
def test_both_ways_equal_each_other_and_the_data_inside_rego(value: Any) -> None:
    source = (
        "package t\nimport rego.v1\n"
        'decision := {"allow": false, "violations": [{"same": input.v == data.v}]}\n'
    )
    compiled = compile_program(Program((("t.rego", source),), {"v": value}, "t/decision"))
    assert compiled.evaluate({"v": value}).violations == ({"same": True},)
    # A number that the tree cannot carry sends the whole input by the other way.
    assert compiled.evaluate({"v": value, "wide": 2**64}).violations == ({"same": True},)


@settings(max_examples=200, deadline=None)
@given(one=JSON, other=JSON)
def test_different_values_stay_different_by_the_quick_way(echo: Echo, one: Any, other: Any) -> None:
    if set_input_tree(echo.handle, [one, other]):
        first, second = echo.read()
        assert (typed(first) == typed(second)) == (typed(one) == typed(other))


@pytest.mark.parametrize("setter", SETTERS)
@pytest.mark.parametrize(
    "value",
    [
        "",
        {"": ""},
        {'"': '\\"', "\\": "\\\\", "a\nb": "\u2028\x7f\x01"},
        "read\\u0000evil",
        "😀" * 100_000,
        "\\" * 10_000,
        {"k" * 5_000: "v"},
        [[]] * 50,
        2**63,
        -(2**63) - 1,
        10**63,
        {"n": 0.1, "m": 1e-05, "o": 1.5e300, "p": -1 / 3},
    ],
    ids=lambda value: repr(value)[:20],
)
def test_awkward_values_arrive(echo: Echo, setter: Any, value: Any) -> None:
    setter(echo.handle, value)
    assert typed(echo.read()) == typed(value)


@pytest.mark.parametrize("value", [5e-324, -2.2e-308, 1.7976931348623155e308])
def test_numbers_refused_at_the_door_would_fail_loudly_in_the_engine(value: float) -> None:
    with pytest.raises(InputError):
        strict_json.loads(repr(value).encode())
    source = (
        "package t\nimport rego.v1\n"
        'default decision := {"allow": true, "violations": []}\n'
        'decision := {"allow": false, "violations": [{}]} if input.v < 1\n'
    )
    compiled = compile_program(Program((("t.rego", source),), {}, "t/decision"))
    with pytest.raises(EvaluationError, match="stod"):
        compiled.evaluate({"v": value})


def nested(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = {"k": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize("setter", SETTERS)
def test_depth_is_bounded(echo: Echo, setter: Any) -> None:
    setter(echo.handle, nested(MAX_DEPTH))
    assert echo.read() == nested(MAX_DEPTH)
    for levels in (MAX_DEPTH + 1, 5_000):
        with pytest.raises(InputError, match="nested"):
            setter(echo.handle, nested(levels))


@pytest.mark.parametrize("setter", SETTERS)
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a\0b", "NUL"),
        ({"a\0": 1}, "NUL"),
        ("\ud800", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        (float("nan"), "nan"),
        ([float("inf")], "inf"),
        ({1: 2}, "key"),
        ({True: 2}, "key"),
        ((1, 2), "tuple"),
        (b"x", "bytes"),
        ({"a": {1, 2}}, "set"),
    ],
)
def test_what_is_not_json_is_refused(echo: Echo, setter: Any, value: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        setter(echo.handle, value)


@pytest.mark.parametrize("wide", [0, 2**64], ids=["by tree", "by text"])
def test_the_order_of_keys_is_none_of_a_policys_business(wide: int) -> None:
    source = (
        "package t\nimport rego.v1\nkeys := [key | input.v[key]]\n"
        'decision := {"allow": false, "violations": [{"keys": keys, "v": input.v}]}\n'
    )
    compiled = compile_program(Program((("t.rego", source),), {}, "t/decision"))
    # As OPA, which goes by the bytes of keys.
    keys = ["", "B", "a", "aa", "b", "é", "\uffff", "😀"]
    for order in (keys, keys[::-1]):
        [told] = compiled.evaluate({"v": dict.fromkeys(order, 1), "wide": wide}).violations
        assert told["keys"] == list(told["v"]) == keys


@pytest.mark.parametrize("setter", SETTERS)
def test_keys_that_have_no_order_are_refused(echo: Echo, setter: Any) -> None:
    with pytest.raises(InputError, match="key"):
        setter(echo.handle, {1: 2, "a": 3})


def test_the_quick_way_declines_what_it_would_round_or_wrap(echo: Echo) -> None:
    set_input(echo.handle, "before")
    for value in (2**63, -(2**63) - 1, 1 / 3, 1e-07):
        assert set_input_tree(echo.handle, [value]) is False
    assert echo.read() == "before"
    assert set_input_tree(echo.handle, [2**63 - 1, -(2**63), 0.5, 123456.654321, 1e300]) is True
    assert echo.read() == [2**63 - 1, -(2**63), 0.5, 123456.654321, 1e300]
