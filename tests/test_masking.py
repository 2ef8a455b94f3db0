"""Masking: which pointers there are, what they find, and where a masked value comes again."""

import hmac
import time
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.errors import ConfigError, InputError
from scopebound_engine.masking import KEY_FILE, Masks, make_key, pointer, pointers, read_key
from scopebound_engine.strict_json import dumps

KEY = bytes(range(32))


def mask(value: Any) -> str:
    return f"hmac-sha256:{hmac.new(KEY, dumps(value), 'sha256').hexdigest()}"


def masked(call_args: Any, *of_role: str, everywhere: str = "", **facts: Any) -> Any:
    return Masks(KEY, pointers(everywhere)).apply({"call_args": call_args, **facts}, of_role)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("/call_args", ()),
        ("/call_args/iban", ("iban",)),
        ("/call_args/", ("",)),
        ("/call_args/a~1b/m~0n/0/*", ("a/b", "m~n", "0", "*")),
        ("/call_args/~01", ("~1",)),
    ],
)
def test_a_pointer_leads_into_the_arguments(text: str, steps: tuple[str, ...]) -> None:
    assert pointer(text).steps == steps


@pytest.mark.parametrize(
    "text", ["", "/", "call_args/a", "/claims/sub", "/call_argsx", "/call_args/~2", "/call_args/~"]
)
def test_other_pointers_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="/call_args/iban"):
        pointer(text)


def test_a_setting_holds_several() -> None:
    found = pointers(" /call_args/a,/call_args/b\n/call_args/c ")
    assert [one.text for one in found] == ["/call_args/a", "/call_args/b", "/call_args/c"]
    assert pointers("") == ()


@pytest.mark.parametrize(
    ("at", "call_args", "expected"),
    [
        ("/call_args/iban", {"iban": "DE1", "n": 1}, {"iban": mask("DE1"), "n": 1}),
        ("/call_args/n", {"n": 7}, {"n": mask(7)}),
        ("/call_args/o", {"o": {"a": [1]}}, {"o": mask({"a": [1]})}),
        ("/call_args/o/a/1", {"o": {"a": [1, 2]}}, {"o": {"a": [1, mask(2)]}}),
        (
            "/call_args/*/iban",
            {"x": {"iban": "A"}, "y": [], "z": {"iban": "B"}},
            {"x": {"iban": mask("A")}, "y": [], "z": {"iban": mask("B")}},
        ),
        ("/call_args/l/*", {"l": ["A", {"b": 1}]}, {"l": [mask("A"), mask({"b": 1})]}),
        ("/call_args", {"a": 1}, mask({"a": 1})),
        ("/call_args/a.b", {"a.b": "X", "a": {"b": "Y"}}, {"a.b": mask("X"), "a": {"b": "Y"}}),
        ("/call_args/e", {"e": None}, {"e": mask(None)}),
    ],
)
def test_what_a_pointer_finds_is_replaced(at: str, call_args: Any, expected: Any) -> None:
    found = masked(call_args, at)
    assert found.document["call_args"] == expected
    assert found.pointers == (at,)


@pytest.mark.parametrize(
    "at", ["/call_args/x", "/call_args/a/b", "/call_args/l/2", "/call_args/l/-", "/call_args/l/x"]
)
def test_a_pointer_that_finds_nothing_changes_nothing(at: str) -> None:
    call_args = {"a": "text", "l": [1, 2]}
    found = masked(call_args, at)
    assert found.document["call_args"] == call_args
    assert found.pointers == ()


def test_the_document_itself_stays_as_it_is() -> None:
    call_args = {"o": {"iban": "DE1"}, "l": [{"iban": "DE2"}]}
    masked(call_args, "/call_args/o/iban", "/call_args/l/*/iban")
    assert call_args == {"o": {"iban": "DE1"}, "l": [{"iban": "DE2"}]}


def test_pointers_of_the_configuration_and_of_the_role_count_together() -> None:
    found = masked({"a": 1, "b": 2, "c": 3}, "/call_args/b", everywhere="/call_args/a")
    assert found.document["call_args"] == {"a": mask(1), "b": mask(2), "c": 3}
    assert found.pointers == ("/call_args/a", "/call_args/b")


def test_two_pointers_that_find_equal_values_are_both_named() -> None:
    found = masked({"a": "X", "b": "X"}, "/call_args/a", "/call_args/b")
    assert found.pointers == ("/call_args/a", "/call_args/b")


def test_what_is_masked_as_a_whole_is_not_masked_again_below() -> None:
    found = masked({"o": {"a": 1}}, "/call_args/o/a", "/call_args/o", "/call_args/*")
    assert found.document["call_args"] == {"o": mask({"a": 1})}
    assert found.pointers == ("/call_args/*",)


def constraint(field: str, **facts: Any) -> dict[str, Any]:
    rule = {"field": field, "operator": "eq", "value": "X", "required": False}
    return rule | {"present": True, "fit": True} | facts


def test_a_masked_value_is_masked_among_the_constraints_too() -> None:
    constraints = [
        constraint("iban", value="DE1", actual="DE1"),
        constraint("o.iban", value=["DE1", "DE2"], operator="in", actual="DE2"),
        constraint("o", actual={"iban": "DE2", "n": 5}),
        constraint("n", value=5, actual=5),
        constraint("gone", present=False),
    ]
    call_args = {"iban": "DE1", "o": {"iban": "DE2", "n": 5}, "n": 5}
    found = masked(call_args, "/call_args/iban", "/call_args/o/iban", constraints=constraints)
    told = found.document["constraints"]
    assert (told[0]["actual"], told[0]["value"]) == (mask("DE1"), mask("DE1"))
    assert (told[1]["actual"], told[1]["value"]) == (mask("DE2"), [mask("DE1"), mask("DE2")])
    assert told[2]["actual"] == {"iban": mask("DE2"), "n": 5}
    assert told[3:] == constraints[3:]
    assert all(
        one["present"] is before["present"] for one, before in zip(told, constraints, strict=True)
    )


def test_a_part_of_what_is_masked_as_a_whole_is_masked_where_it_comes_again() -> None:
    found = masked(
        {"o": {"iban": "DE2"}}, "/call_args/o", constraints=[constraint("o.iban", actual="DE2")]
    )
    assert found.document["constraints"][0]["actual"] == mask("DE2")


def test_a_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    make_key(tmp_path)
    key = read_key(tmp_path)
    make_key(tmp_path)
    assert read_key(tmp_path) == key
    assert len(key) == 32
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [None, b"", b"short", b"x" * 33])
def test_a_key_that_will_not_do_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        make_key(tmp_path)
        (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=KEY_FILE):
        read_key(tmp_path)


def test_a_large_call_is_masked_in_the_time_of_an_answer() -> None:
    nested: Any = "x" * 1_000
    for _ in range(12):
        nested = [nested, {"k": "y" * 5_000}]
    wide = {f"k{n}": n for n in range(250)}
    call_args = {"doc": {"a": nested, "b": [wide] * 7}, "l": [{"iban": str(n)} for n in range(900)]}
    looked_at = [constraint("doc", actual=call_args["doc"])] * 32
    looked_at += [constraint("l", actual=call_args["l"])] * 32
    pointers_ = [f"/call_args/l/{n}/iban" for n in range(64)]
    started = time.process_time()
    found = masked(call_args, "/call_args/doc/*", *pointers_, constraints=looked_at)
    assert time.process_time() - started < 0.5
    assert len(found.pointers) == 65
    assert found.document["constraints"][0]["actual"] == found.document["call_args"]["doc"]
