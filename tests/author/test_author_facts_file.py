import json
from typing import Any

import jsonschema
import pytest

from scopebound_engine.author import facts_file
from scopebound_engine.author.explaining.world import REMOVED, Edit, at, remade, rules
from scopebound_engine.bundle.matchers import EMPTY
from scopebound_engine.errors import FindingsError, InputError
from scopebound_engine.rego.checks.documents import INPUT_SCHEMA
from tests.author.test_author_compared import call

CONSTRAINTS = [
    {"field": "to", "operator": "regex", "value": "^a", "required": False},
    {"field": "n.m", "operator": "lt", "value": 5, "required": True},
]


def refused(document: Any) -> dict[str, str]:
    """What is told of each place."""
    with pytest.raises(FindingsError) as caught:
        facts_file.read(json.dumps(document).encode(), "f.json")
    return {one.message: one.remedy for one in caught.value.findings}


def test_facts_that_fit_are_read() -> None:
    document = call("read", {"a": [1, {"b": None}]})
    assert facts_file.read(json.dumps(document).encode(), "f.json") == document
    assert facts_file.fits(document)


def test_what_does_not_fit_is_told_with_its_place_and_what_is_expected() -> None:
    document = call("read", {})
    document["now"]["hour"] = 24
    document["claims"]["exp"] = "soon"
    document["claims"]["allowed_days"] = [0, "1"]
    document["session"]["rate"]["minute"] = {"limit": 1}
    document["matches"] = {"a/b~": "maybe"}
    document["action"] = "spawn"
    document["more"] = 1
    del document["tool_name"]
    told = refused(document)
    assert told["/now/hour is 24"] == "expected: from 0 to 23. 0 to 23."
    assert told["/claims/exp is a string"] == "expected: integer. Unix seconds."
    assert "/claims/allowed_days/1 is a string" in told
    assert told["/session/rate/minute/granted is missing"].startswith("expected: boolean")
    assert told['/matches/a~1b~0 is "maybe"'] == "expected: one of absent, unfit, yes, no"
    assert told['/action is "spawn"'].startswith("expected: one of tool_call, mcp_tool_call")
    assert told["/tool_name is missing"] == "expected: string or null. null on delegate."
    assert told["/more is not known"].startswith("known here: action, call_args")
    assert not facts_file.fits(document)


@pytest.mark.parametrize(
    ("document", "told"), [([], "an array"), (1, "a number"), (None, "null"), ("f", "a string")]
)
def test_what_is_no_object_is_no_facts_document(document: Any, told: str) -> None:
    assert list(refused(document)) == [f"the document is {told}"]


@pytest.mark.parametrize("data", [b"", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff"])
def test_what_is_no_strict_json_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        facts_file.read(data, "f.json")


def test_it_agrees_with_a_validator_of_json_schema() -> None:
    validator = jsonschema.Draft202012Validator(INPUT_SCHEMA)
    for path in _paths(call("read", {})):
        for value in (REMOVED, None, True, 7, -1, 1.5, "x", [], [1], {}, {"a": 1}):
            document = json.loads(json.dumps(call("read", {})))
            inside = at(document, path[:-1])
            if value is REMOVED:
                del inside[path[-1]]
            else:
                inside[path[-1]] = value
            assert facts_file.fits(document) == validator.is_valid(document), (path, value)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else ()
    below = [one for key, item in items for one in _paths(item, (*path, key))]
    return [*([path] if path else []), *below]


def test_facts_are_made_anew_from_what_a_change_touches() -> None:
    document = call("read", {"to": "ab", "n": {"m": 7}}) | {"constraints": CONSTRAINTS}
    made = remade(document, (), EMPTY)
    assert [one.get("matched", one.get("actual")) for one in made["constraints"]] == [True, 7]
    assert rules(made) == CONSTRAINTS
    edits = [
        Edit(("call_args", "to"), "ba"),
        Edit(("call_args", "n"), REMOVED),
        Edit(("now", "epoch_ms"), 1_800_000_000_000 + 3_600_000),
    ]
    changed = remade(made, edits, EMPTY)
    assert [one["present"] for one in changed["constraints"]] == [True, False]
    assert changed["constraints"][0]["matched"] is False
    assert changed["now"]["hour"] == 9
    # What was handed in stays as it was.
    assert made["call_args"] == {"to": "ab", "n": {"m": 7}}


def test_an_hour_that_somebody_wrote_stays_while_the_time_does() -> None:
    document = call("read", {})
    document["now"]["hour"] = 23
    assert remade(document, [Edit(("tool_name",), "x")], EMPTY)["now"] == document["now"]


@pytest.mark.parametrize("value", [[1], "text", None, {"c": 2}, 7])
def test_what_is_in_the_way_of_a_value_is_replaced(value: Any) -> None:
    document = call("read", {"a": value})
    edits = [
        Edit(("call_args", "a", "b"), 1),
        Edit(("call_args", "x", "y"), REMOVED),
        Edit(("call_args", "a", 3), 1),
        Edit(("call_args", "a", 3, "d"), 1),
    ]
    changed = remade(document, edits, EMPTY)
    kept = value if isinstance(value, dict) else {}
    assert changed["call_args"] == {"a": {**kept, "b": 1}}
    assert document["call_args"] == {"a": value}
