"""Data files become one document as OPA makes it, or are refused."""

import pytest

from scopebound_engine.bundle.format import content
from scopebound_engine.errors import BundleError, Finding


def findings(files: dict[str, bytes]) -> tuple[Finding, ...]:
    with pytest.raises(BundleError) as caught:
        content.check(files)
    return caught.value.findings


def test_each_data_file_stands_under_its_folder() -> None:
    files = {
        "data.json": b'{"a": {"x": 1}, "top": true}',
        "a/data.json": b'{"y": 2}',
        "a/b/c/data.json": b"[1, 2.0]",
        "a.rego": b"package a",
    }
    content.check(files)
    assert content.data(files) == {"a": {"x": 1, "y": 2, "b": {"c": [1, 2]}}, "top": True}


def test_no_data_files_are_no_data() -> None:
    assert content.data({"a.rego": b""}) == {}


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"data.json": b'{"a": {"x": 1}}', "a/data.json": b'{"x": 1}'}, "data.a.x"),
        ({"data.json": b'{"a": 1}', "a/data.json": b"{}"}, "data.a"),
        ({"data.json": b'{"a": {"b": 1}}', "a/b/data.json": b"1"}, "data.a.b"),
        ({"a/data.json": b"[]", "a/b/data.json": b"{}"}, "data.a"),
    ],
)
def test_values_in_one_place_are_refused(files: dict[str, bytes], place: str) -> None:
    (finding,) = findings(files)
    assert finding.message == f"{place} is in another data.json too"


def test_data_at_the_root_must_be_an_object() -> None:
    (finding,) = findings({"data.json": b"[1]"})
    assert finding.message == "at the root it must be an object, not an array"


def test_tests_are_no_rules() -> None:
    files = {"a.rego": b"package a", "a_test.rego": b"package a_test", "x/data.json": b"1"}
    assert content.modules(files, tests=True).keys() == {"a.rego", "a_test.rego"}
    assert content.modules(files, tests=False) == {"a.rego": "package a"}


def test_modules_must_be_utf8_and_the_place_is_said() -> None:
    (finding,) = findings({"a.rego": b"package a\n\nx := \xff"})
    assert (finding.file, finding.line, finding.column) == ("a.rego", 3, 6)


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = findings({"a.rego": b"\xff", "b/data.json": b"{", "c/data.json": b"NaN"})
    assert [finding.file for finding in found] == ["a.rego", "b/data.json", "c/data.json"]
