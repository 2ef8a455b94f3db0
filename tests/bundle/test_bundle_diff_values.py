"""A diff tells by path what changed in data and manifest, in bearable time in long lists too."""

import json
import random
import time
from typing import Any

import pytest

from scopebound_engine.bundle.diff import Diff, ValueChange, compare
from tests.bundle.bundle_samples import files, manifest
from tests.bundle.diff_samples import DATA, diff


def told(changes: tuple[ValueChange, ...]) -> list[tuple[str, str, Any, Any]]:
    return [(each.change, each.path, each.old, each.new) for each in changes]


def test_values_of_data_are_told_by_path() -> None:
    old = {"a": {"b/c": 1, "~": [1, 2]}, "gone": None, "same": 1.0}
    new = {"a": {"b/c": True, "~": [1, 2]}, "come": {"x": 1}, "same": 1}
    found = diff(json.dumps(old).encode(), json.dumps(new, indent=3).encode(), DATA)
    assert found == Diff((), (), (), (), (), found.data)
    at = "/scopebound/config"
    assert told(found.data) == [
        ("changed", f"{at}/a/b~1c", 1, True),
        ("added", f"{at}/come", None, {"x": 1}),
        ("removed", f"{at}/gone", None, None),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (["a", "b"], ["x", "a", "b"], [("added", "/0", None, "x")]),
        (["a", "b", "c"], ["a", "c"], [("removed", "/1", "b", None)]),
        (["a", "b"], ["a", "x"], [("changed", "/1", "b", "x")]),
        ([{"k": 1, "l": 2}], [{"k": 1, "l": 3}], [("changed", "/0/l", 2, 3)]),
        (["a"], {"0": "a"}, [("changed", "", ["a"], {"0": "a"})]),
        (["a", "b"], ["b", "a"], [("added", "/0", None, "b"), ("removed", "/1", "b", None)]),
    ],
)
def test_what_came_and_went_in_a_list_is_told_by_place(old: Any, new: Any, expected: Any) -> None:
    found = diff(json.dumps({"l": old}).encode(), json.dumps({"l": new}).encode(), DATA)
    changes = [
        (c, path.removeprefix("/scopebound/config/l"), *r) for c, path, *r in told(found.data)
    ]
    assert changes == expected


def test_data_may_move_to_another_file() -> None:
    inner = files(**{DATA: b"{}", "scopebound/config/a/data.json": b'{"x": 1}'})
    assert compare(files(**{DATA: b'{"a": {"x": 1}}'}), inner).same


def test_deny_codes_matchers_and_the_rest_of_the_manifest_are_told_apart() -> None:
    code = {"code": "SCOPE_VIOLATION", "severity": "medium", "description": "not granted"}
    old = manifest(
        deny_codes=[code, {"code": "OLD", "severity": "low", "description": "x"}],
        matchers={"mail": {"path": "/call_args/to", "suffix": "@a.example"}},
    )
    new = manifest(
        version="1.3.0",
        thresholds={"min_tests": 90},
        deny_codes=[
            {"code": "NEW", "severity": "high", "description": "y"},
            code | {"description": "otherwise"},
        ],
        matchers={"mail": {"path": "/call_args/to", "suffix": "@b.example"}},
    )
    found = diff(json.dumps(old).encode(), json.dumps(new).encode(), "manifest.json")
    assert told(found.deny_codes) == [
        ("added", "/NEW", None, {"severity": "high", "description": "y"}),
        ("removed", "/OLD", {"severity": "low", "description": "x"}, None),
        ("changed", "/SCOPE_VIOLATION/description", "not granted", "otherwise"),
    ]
    assert told(found.matchers) == [("changed", "/mail/suffix", "@a.example", "@b.example")]
    assert told(found.manifest) == [
        ("added", "/thresholds", None, {"min_tests": 90}),
        ("changed", "/version", "1.2.0", "1.3.0"),
    ]


def test_a_manifest_of_opa_says_the_same_as_one_of_ours() -> None:
    fields = manifest()
    opa = {"roots": ["scopebound"], "metadata": {"scopebound": fields, "by": "us"}}
    plain = files()
    kept = {name: plain[name] for name in plain if name != "manifest.json"}
    found = compare(plain, {**kept, ".manifest": json.dumps(opa).encode()})
    assert told(found.manifest) == [
        ("added", "/metadata", None, {"by": "us"}),
        ("added", "/roots", None, ["scopebound"]),
    ]
    both = compare(plain, {**plain, ".manifest": b'{"revision": "r1"}'})
    assert told(both.manifest) == [("added", "/revision", None, "r1")]


def test_long_lists_of_few_different_elements_are_compared_in_bearable_time() -> None:
    before = [f"{number % 100}" for number in range(20_000)]
    after = random.Random(1).sample(before, len(before))
    body = "package a.b_test\n\nimport rego.v1\n\ntest_x if {{\n\t{}\n}}\n"
    old, new = (
        files(
            **{
                "a/data.json": json.dumps({"list": side}).encode(),
                "a/b_test.rego": body.format("\n\t".join(side)).encode(),
            }
        )
        for side in (before, after)
    )
    began = time.process_time()
    found = compare(old, new)
    assert time.process_time() - began < 5  # 8 s before there was a bound
    assert {one.path: one.new for one in found.data} == {
        f"/a/list/{at}": new
        for at, (was, new) in enumerate(zip(before, after, strict=True))
        if was != new
    }
    (test,) = found.tests
    assert [line[1:].strip() for line in test.lines if line[0] == "+"][1:-1] == after


def test_what_was_put_into_a_long_list_is_all_that_is_told_of_it() -> None:
    before = list(range(5_000))
    after = [*before[:2_500], "new", *before[2_500:]]
    old, new = (json.dumps({"list": side}).encode() for side in (before, after))
    assert told(diff(old, new, DATA).data) == [
        ("added", "/scopebound/config/list/2500", None, "new")
    ]
