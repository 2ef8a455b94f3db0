import pytest

from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast
from scopebound_engine.rego.rendering import pairs, rendered

VALUES = {
    "1": "1",
    "-2.5": "-2.5",
    "true": "true",
    "null": "null",
    '"a"': '"a"',
    '"q\\"\\\\\\n"': '"q\\"\\\\\\n"',
    '"é"': '"é"',
    'concat("", ["a", "b"])': '"ab"',
    "[]": "[]",
    "{}": "{}",
    "set()": "set()",
    "[1, [2]]": "[1, [2]]",
    "{2, 1}": "{1, 2}",
    '{"a": {"b": [true]}}': '{"a": {"b": [true]}}',
    "{1: 2}": "{1: 2}",
    "{[1]: {3}}": "{[1]: {3}}",
}


def plan(*values: str) -> LoadedPlan:
    text = "package t\n" + "".join(f"v{n} := {value}\n" for n, value in enumerate(values))
    names = [f"t/v{n}" for n in range(len(values))]
    document, frame = compile_fast({"t.rego": text}, names, {})
    functions = [function["name"] for function in document["funcs"]["funcs"]]
    return LoadedPlan(Encoder(document, frame).encode(names, functions))


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_written_as_rego_does(value: str) -> None:
    with plan(value).node("t/v0") as node:
        assert node is not None
        assert rendered(node, 100) == VALUES[value]


def test_what_is_long_is_cut() -> None:
    with plan("numbers.range(1, 1000)").node("t/v0") as node:
        assert node is not None
        assert rendered(node, 12) == "[1, 2, 3, 4…"


def test_what_is_undefined_has_no_node() -> None:
    with plan("input.nothing").node("t/v0") as node:
        assert node is None


def test_pairs_are_the_first_of_an_array() -> None:
    with plan('[[["a", 1], {2}], [[], null], [[3], 4]]').node("t/v0") as node:
        assert node is not None
        assert pairs(node, 20, 2) == [(['"a"', "1"], "{2}"), ([], "null")]
