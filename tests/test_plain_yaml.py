"""YAML that people write: read one way or refused with its line, written so that it reads back."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine import strict_json
from scopebound_engine.plain_yaml import YamlError, dump, load


def refusal(text: str) -> str:
    with pytest.raises(YamlError) as caught:
        load(text, "roles.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("read_invoices", "read_invoices"),
        ("42", 42),
        ("-1", -1),
        ("0.5", 0.5),
        ("1e3", 1000),
        ("1.0", 1),
        ("true", True),
        ("null", None),
        ("", None),
        ("y", "y"),
        ("1.0.0", "1.0.0"),
        ("10.0.0.1", "10.0.0.1"),
        (r"^[a-z]+@company\.com$", r"^[a-z]+@company\.com$"),
        ('"no"', "no"),
        ("'010'", "010"),
        ("!!str 010", "010"),
        ("|\n  010", "010"),
        (r'"\ud83d\ude00"', "😀"),
        ("[a, 1]", ["a", 1]),
        ("{k: v}", {"k": "v"}),
    ],
)
def test_what_is_read_one_way_by_everyone(text: str, value: Any) -> None:
    read = load(f"k: {text}", "roles.yaml").value["k"]
    assert (read, type(read)) == (value, type(value))


UNCLEAR = [
    *("yes", "No", "on", "OFF", "True", "FALSE", "~", "Null"),
    *("010", "0o17", "0x1F", "1_000", "+1", "00", "12:30", "20:00", "190:20:30"),
    *("1.", ".5", "-.5e3", "1.e1", "+0.5", ".inf", "-.INF", ".nan", "01.5"),
    *("2026-04-29", "2026-04-29T12:00:00Z", "2026-04-29 12:00:00", "="),
]


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_yaml_readers_disagree_on_is_refused_with_its_place(text: str) -> None:
    message = refusal(f"name: a\nvalue: {text}\n")
    assert f"roles.yaml:2:8: value: {text} does not mean the same" in message
    assert "quotes" in message
    assert load(f'value: "{text}"', "roles.yaml").value == {"value": text}


def test_all_that_is_unclear_is_told_at_once() -> None:
    message = refusal("a: no\nb: [010, yes]\non: 1\n")
    for place in ("1:4: a: no", "2:5: b.0: 010", "2:10: b.1: yes", "3:1: on"):
        assert f"roles.yaml:{place}" in message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3", 'roles.yaml:3:1: the key "a" stands twice'),
        ("a: {b: 1, b: 2}", 'roles.yaml:1:11: a: the key "b" stands twice'),
        ('"a": 1\na: 1', "stands twice"),
        ("5: x", "roles.yaml:1:1: a key must be text"),
        ("null: x", "roles.yaml:1:1: a key must be text"),
        ("[a]: x", "roles.yaml:1:1: a key must be text"),
        ("<<: {a: 1}", "roles.yaml:1:1: << does not mean the same"),
        ("a: !!python/object:os.system x", "roles.yaml:1:4: a: the tag"),
        ("a: !!set {x: null}", "roles.yaml:1:4: a: the tag"),
        ("a: !include other.yaml", "roles.yaml:1:4: a: the tag !include is not understood"),
        ("a: [1, 2", "roles.yaml:1:9: "),
        ("a: 1\n\tb: 2", "roles.yaml:2:1: "),
        ("a: *nowhere", "undefined alias"),
        ("--- 1\n--- 2", "roles.yaml:2:1: expected a single document"),
        ("", "there is nothing in it"),
        ("# a comment", "there is nothing in it"),
        ("a: \x07", "roles.yaml: unacceptable character"),
        (r'a: "\0"', "roles.yaml:1:4: a: a string contains NUL"),
        (r'a: "\ud800"', "roles.yaml:1:4: a: a string contains a lone surrogate"),
        ("a: 1e999", "roles.yaml:1:4: a: the number 1e999 is not a finite double"),
        ("a: " + "9" * 65, "roles.yaml:1:4: a: an integer has more than 64 digits"),
        ("a: &a [*a]", "nested deeper than 64 levels"),
        ("a: " + "[" * 100 + "]" * 100, "nested deeper than 64 levels"),
        ("a: " + "[" * 5000, "nested too deep"),
    ],
)
def test_what_is_refused(text: str, told: str) -> None:
    assert told in refusal(text)


def test_aliases_repeat_a_value_but_not_without_end() -> None:
    assert load("a: &x [1]\nb: *x", "roles.yaml").value == {"a": [1], "b": [1]}
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
    )
    assert "200000 values" in refusal(bomb)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 2),
        ("roles", 2),
        ("roles.0", 3),
        ("roles.0.name", 3),
        ("roles.0.parameter_constraints.a.b", 7),
        ("roles.0.parameter_constraints.a.b.0.value", 10),
        ("roles.0.parameter_constraints.a.b.7", 7),
        ("roles.0.parameter_constraints.a", 5),
        ("roles.0.data_scope.max_rows", 3),
        ("roles.1", 2),
        ("rolesx", 2),
    ],
)
def test_a_path_leads_to_its_line_or_to_the_nearest(path: str, line: int) -> None:
    text = (
        "# roles\nroles:\n- name: r\n  allowed_tools: [x]\n  parameter_constraints:\n"
        "    c: []\n    a.b:\n    - field: f\n      operator: eq\n      value: 1\n"
    )
    assert load(text, "roles.yaml").line(path) == line


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(UNCLEAR)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(-1.797e308, 1.797e308, allow_nan=False, allow_subnormal=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(value=values)
def test_what_is_written_is_read_back(value: Any) -> None:
    value = strict_json.loads(strict_json.dumps(value))
    assert load(dump({"k": value}), "roles.yaml").value == {"k": value}


@given(text=texts)
def test_what_is_written_is_text_to_a_reader_of_yaml_1_1_too(text: str) -> None:
    assert yaml.safe_load(dump({"k": [text]})) == {"k": [text]}
