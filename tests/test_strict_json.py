"""Strict JSON: what comes out equals what was sent, or it is refused."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine import strict_json
from scopebound_engine.errors import InputError

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
numbers = st.integers(-(10**63), 10**63) | st.floats(
    -1.797e308, 1.797e308, allow_nan=False, allow_subnormal=False
)
documents = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def same(found: Any, sent: Any) -> bool:
    """Equal, integers exactly; a double is written in decimal and read as that decimal."""
    if isinstance(sent, float):
        return float(found) == sent
    if isinstance(sent, list):
        return len(found) == len(sent) and all(map(same, found, sent))
    if isinstance(sent, dict):
        return found.keys() == sent.keys() and all(same(found[key], sent[key]) for key in sent)
    return type(found) is type(sent) and bool(found == sent)


@given(documents, st.booleans())
def test_a_value_comes_out_as_it_was_sent(value: Any, escaped: bool) -> None:
    data = json.dumps(value, ensure_ascii=escaped).encode()
    assert same(strict_json.loads(data), value)
    again = strict_json.loads(strict_json.dumps(strict_json.loads(data)))
    assert again == strict_json.loads(data)


def spells_floats(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(spells_floats, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


@given(documents)
def test_what_is_written_quickly_reads_the_same_and_differs_in_floats_at_most(value: Any) -> None:
    quick, canonical = strict_json.encode(value), strict_json.dumps(value)
    assert strict_json.loads(quick) == strict_json.loads(canonical)
    assert quick == canonical or spells_floats(value)


@pytest.mark.parametrize("value", [{"a": object()}, "\ud800", {"a": {1, 2}}])
def test_what_is_no_json_is_not_written(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        strict_json.encode(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.0", 1),
        ("-0", 0),
        ("-0.0", 0),
        ("0e99999999999999999999999", 0),
        ("0.0e-999999999999999999999", 0),
        ("1e2", 100),
        ("1E+2", 100),
        ("1e23", 10**23),
        ("18446744073709551621", 2**64 + 5),
        ("49999.99999999", 49999.99999999),
        ('"\\u00e9"', "é"),
        ('"é"', "é"),
        ('"a\\nb\\"c"', 'a\nb"c'),
        ("1e300", 1e300),
    ],
)
def test_numbers_and_strings_have_one_spelling(text: str, value: Any) -> None:
    found = strict_json.loads(text.encode())
    assert found == value
    assert type(found) is type(value)
    assert not (isinstance(found, float) and math.copysign(1, found) < 0 and found == 0)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"\xff", "UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":1,"b":{"c":1,"c":2}}', '"c" stands twice'),
        (b'{"a":1,"\\u0061":2}', '"a" stands twice'),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"[1e999]", "finite"),
        (b"-1e999", "finite"),
        (b"1.7976931348623157e308", "finite"),
        (b"5e-324", "too near to 0"),
        (b"-1e-310", "too near to 0"),
        (b'["\\ud800"]', "surrogate"),
        (b'["\\udc00\\ud800"]', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b'{"\\ud800":1,"\\ud800":2}', "surrogate"),
        (b'["\\u0000"]', "NUL"),
        (b'{"a\\u0000":1}', "NUL"),
        (b"9" * 65, "64 digits"),
        (b"-" + b"9" * 65, "64 digits"),
        (b"[" * 66 + b"]" * 66, "nested"),
        (b"[" * 10**6, "nested"),
        (b'{"a":' * 10**5, "nested"),
    ],
)
def test_what_is_not_exact_is_refused(data: bytes, word: str) -> None:
    with pytest.raises(InputError, match=word):
        strict_json.loads(data)


def test_surrogate_pairs_are_characters() -> None:
    assert strict_json.loads(b'"\\ud83d\\ude00"') == "😀"


def test_limits_are_inclusive() -> None:
    assert strict_json.loads(b"[[1]]", depth=2) == [[1]]
    with pytest.raises(InputError, match="deeper than 1"):
        strict_json.loads(b"[[1]]", depth=1)
    assert strict_json.loads(b"[1,2]", values=3) == [1, 2]
    with pytest.raises(InputError, match="more than 2 values"):
        strict_json.loads(b"[1,2]", values=2)
    assert strict_json.loads(b'{"a":1}', keys=1) == {"a": 1}
    with pytest.raises(InputError, match="more than 1 keys"):
        strict_json.loads(b'{"a":1,"b":2}', keys=1)


@pytest.mark.parametrize(
    "data", [b'{"a": [1, 2.5, "x", null, true]}', b'"\\ud800"', b"[1e400]", b"{}"]
)
def test_own_json_is_skimmed_as_json_reads_it(data: bytes) -> None:
    assert strict_json.skim(data) == json.loads(data)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[1,]"])
def test_what_is_no_json_cannot_be_skimmed(data: bytes) -> None:
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        strict_json.skim(data)
