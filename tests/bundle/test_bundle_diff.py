"""A diff tells what changed in a bundle's meaning, and only that."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import regorus
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from scopebound_engine.bundle.diff import Diff, RuleChange, ValueChange, compare
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build
from scopebound_engine.errors import BundleError, ManifestError
from scopebound_engine.rego.source.tokens import Source, Token
from tests.bundle.bundle_samples import files, manifest

ROOT = Path(__file__).parents[2]
SHIPPED = build(ROOT / "policies", ROOT / "manifest.json")
MODULES = sorted(name for name in SHIPPED if name.endswith(".rego"))
MAIN = "scopebound/main.rego"
DATA = "scopebound/config/data.json"

RULES = b"""package scopebound

import rego.v1
import data.scopebound.config

default allow := false

allow if input.tool in config.tools

limit("a") := 1

limit("b") := 2
"""


def diff(old: bytes, new: bytes, name: str = MAIN) -> Diff:
    return compare(files(**{name: old}), files(**{name: new}))


def rule_of(found: Diff) -> RuleChange:
    (change,) = found.rules
    assert found == Diff((change,), (), (), (), (), ())
    return change


def told(changes: tuple[ValueChange, ...]) -> list[tuple[str, str, Any, Any]]:
    return [(each.change, each.path, each.old, each.new) for each in changes]


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


# Values


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


# The promise: layout never counts, and every token does.


@pytest.mark.parametrize("name", MODULES)
def test_reformatted_policies_are_the_same(name: str) -> None:
    text = SHIPPED[name].decode()
    for number in range(3):
        changed = reformatted(text, random.Random(number))
        assert changed != text
        # A second engine finds it Rego.
        regorus.Engine().add_policy(name, changed)
        assert compare(alone(name, text), alone(name, changed)).same


@seed(20261)
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MODULES), st.randoms(use_true_random=False))
def test_every_token_of_a_rule_counts(name: str, chance: random.Random) -> None:
    text = SHIPPED[name].decode()
    token = chance.choice(list(telling(text)))
    changed = text[: token.start] + other(token, chance) + text[token.end :]
    found = compare(alone(name, text), alone(name, changed))
    assert found.tests if name.endswith("_test.rego") else found.rules


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.endswith(".json")])
def test_reformatted_documents_are_the_same(name: str) -> None:
    document = json.loads(SHIPPED[name])
    changed = json.dumps(dict(reversed(document.items())), separators=(" ,\n", "\t: "))
    assert compare(SHIPPED, SHIPPED | {name: changed.encode()}).same


def test_a_bundle_packed_anew_is_the_same() -> None:
    assert compare(SHIPPED, archive.read(archive.write(SHIPPED))).same


_OPERATORS = {":=", "==", "!=", "<", ">", "<=", ">=", "+", "*", "/", "%"}
_COMMENT = '# p := {"a": `'


def alone(name: str, text: str) -> dict[str, bytes]:
    return {name: text.encode(), "manifest.json": SHIPPED["manifest.json"]}


def reformatted(text: str, chance: random.Random) -> str:
    """The same Rego with other blanks, line breaks and comments, wherever they may be."""
    tokens = Source("a.rego", text).tokens
    parts = [blank(text, None, tokens[0], chance)]
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        parts += [token.text, blank(text, token, following, chance)]
    return "".join(parts) + "\n"


def blank(text: str, before: Token | None, after: Token | None, chance: random.Random) -> str:
    """What may stand between two tokens in place of what stands there."""
    if before is None or after is None:
        return line_end(chance)
    was = text[before.end : after.start]
    breaks = before.text in _OPERATORS | {",", "(", "["} or after.text in _OPERATORS
    if "\n" in was:
        return line_end(chance) + chance.choice(["", "\t", "  "])
    if after.text in {"(", "[", "."} or before.text == ".":
        return was
    if breaks and chance.random() < 0.3:
        return line_end(chance)
    if was or after.kind == "punctuation" or before.kind == "punctuation":
        return chance.choice([" ", "\t", "  "])
    return was


def line_end(chance: random.Random) -> str:
    return chance.choice(["\n", "\r\n", f" {_COMMENT}\n", "\n\n\t\n", f"\n{_COMMENT}\n"])


def telling(text: str) -> Iterator[Token]:
    """The tokens of a module's rules, but for commas, of which some end nothing."""
    tokens = Source("a.rego", text).tokens
    lines = text.splitlines()
    for token in tokens:
        line = lines[text.count("\n", 0, token.start)]
        if token.text != "," and not line.startswith(("package", "import")):
            yield token


def other(token: Token, chance: random.Random) -> str:
    """Another token in its place."""
    if token.kind == "name":
        return token.text + chance.choice(["_", "2", "x"])
    if token.kind == "number":
        return token.text + "1"
    if token.kind in {"string", "raw"}:
        at = chance.randrange(1, len(token.text))
        return token.text[:at] + chance.choice([" ", "#", "é"]) + token.text[at:]
    return chance.choice([text for text in ("==", "<", "|", "&", ")") if text != token.text])


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
