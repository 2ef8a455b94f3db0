"""A diff tells which rules and tests changed in a bundle's meaning, and only that."""

import json

import pytest

from scopebound_engine.bundle.diff import Diff, RuleChange, compare
from scopebound_engine.errors import BundleError, ManifestError
from tests.bundle.bundle_samples import files
from tests.bundle.diff_samples import DATA, MAIN, diff

RULES = b"""package scopebound

import rego.v1
import data.scopebound.config

default allow := false

allow if input.tool in config.tools

limit("a") := 1

limit("b") := 2
"""


def rule_of(found: Diff) -> RuleChange:
    (change,) = found.rules
    assert found == Diff((change,), (), (), (), (), ())
    return change


# Rules


def test_a_changed_rule_shows_the_definition_that_changed_and_where_it_is() -> None:
    change = rule_of(diff(RULES, RULES.replace(b":= 2", b":= 3")))
    assert (change.change, change.package, change.name) == ("changed", "scopebound", "limit")
    assert [(place.file, place.line) for place in change.places] == [(MAIN, 12)]
    assert change.lines == ('-limit("b") := 2', '+limit("b") := 3')


def test_a_rule_that_came_and_one_that_went() -> None:
    change = rule_of(diff(RULES, RULES + b"\nmore if input.x\n"))
    assert (change.change, change.name, change.lines) == ("added", "more", ("+more if input.x",))
    change = rule_of(diff(RULES + b"\nmore if input.x\n", RULES))
    assert (change.change, change.name, change.lines) == ("removed", "more", ("-more if input.x",))
    assert [(place.file, place.line) for place in change.places] == [(MAIN, 14)]


def test_all_definitions_of_a_rule_are_one_rule() -> None:
    change = rule_of(diff(RULES, RULES + b'limit("c") := 3\n'))
    assert (change.change, change.name) == ("changed", "limit")
    assert change.lines == ('+limit("c") := 3',)
    change = rule_of(diff(RULES, RULES.replace(b"default allow := false\n", b"")))
    assert (change.change, change.lines) == ("changed", ("-default allow := false",))


def test_a_definition_that_is_there_twice_counts_twice() -> None:
    change = rule_of(diff(RULES + b'limit("b") := 2\n', RULES))
    assert (change.change, change.lines) == ("changed", ('-limit("b") := 2',))


def test_rules_of_one_name_in_two_packages_are_two_rules() -> None:
    new = files(**{MAIN: RULES.replace(b"package scopebound\n", b"package scopebound.a\n")})
    found = compare(files(**{MAIN: RULES}), new)
    assert [(each.change, each.package, each.name) for each in found.rules] == [
        ("removed", "scopebound", "allow"),
        ("removed", "scopebound", "limit"),
        ("added", "scopebound.a", "allow"),
        ("added", "scopebound.a", "limit"),
    ]


def test_moved_renamed_split_and_reordered_files_are_no_change() -> None:
    head, _, tail = RULES.partition(b"\nlimit(")
    other = b"package scopebound\nlimit(" + tail
    apart = {MAIN: other, "scopebound/other/deep.rego": head}
    assert compare(files(**{MAIN: RULES}), files(**apart)).same
    swapped = head + b"\n" + b"\n\n".join(reversed(other.split(b"\n", 1)[1].split(b"\n\n")))
    assert compare(files(**{MAIN: RULES}), files(**{MAIN: swapped})).same


def test_a_rule_changes_with_the_import_it_uses() -> None:
    change = rule_of(diff(RULES, RULES.replace(b"scopebound.config", b"elsewhere.config")))
    assert change.name == "allow"
    assert change.lines == (
        "-import data.scopebound.config",
        "+import data.elsewhere.config",
        " allow if input.tool in config.tools",
    )
    assert diff(RULES, RULES.replace(b"import rego.v1\n", b"import data.x\n")).same


def test_what_is_far_from_a_change_is_left_out() -> None:
    body = "".join(f"\tinput.x{number}\n" for number in range(20))
    old = f"package scopebound\np if {{\n{body}}}\n"
    new = old.replace("x3\n", "y3\n").replace("x16\n", "y16\n")
    lines = rule_of(diff(old.encode(), new.encode())).lines
    assert lines[:4] == ("     input.x0", "     input.x1", "     input.x2", "-    input.x3")
    assert lines.count("@@") == 1
    assert len(lines) == 17


def test_tests_are_told_apart_from_rules() -> None:
    test = "scopebound/main_test.rego"
    found = diff(b"package t\ntest_a if true", b"package t\ntest_a if 1 == 1", test)
    (change,) = found.tests
    assert (change.change, change.package, change.name) == ("changed", "t", "test_a")
    assert found == Diff((), (change,), (), (), (), ())


def test_a_rule_that_becomes_a_test_is_no_longer_a_rule() -> None:
    new = files(**{"scopebound/rules_test.rego": RULES})
    found = compare(files(**{MAIN: RULES}), new)
    assert [each.change for each in found.rules] == ["removed", "removed"]
    assert [each.change for each in found.tests] == ["added", "added"]


# The whole


def test_the_signature_is_no_part_of_the_meaning() -> None:
    assert compare(files(), files(**{".signatures.json": b"{}"})).same


def test_the_diff_is_json() -> None:
    shown = diff(RULES, RULES.replace(b":= 2", b":= 3")).as_dict()
    assert json.loads(json.dumps(shown)) == {
        "same": False,
        "rules": [
            {
                "change": "changed",
                "package": "scopebound",
                "name": "limit",
                "places": [{"file": MAIN, "line": 12}],
                "lines": ['-limit("b") := 2', '+limit("b") := 3'],
            }
        ],
        **{field: [] for field in ("tests", "deny_codes", "matchers", "manifest", "data")},
    }


def test_what_is_no_bundle_is_refused() -> None:
    with pytest.raises(BundleError, match="not UTF-8"):
        diff(RULES, b"\xff")
    with pytest.raises(BundleError, match="not JSON"):
        diff(b"{", b"{}", DATA)
    with pytest.raises(ManifestError):
        diff(b"{}", b"{}", "manifest.json")
