"""Matchers on real strings: four answers, each operator by a slow reference, never an error.

Not in tests/bundle, where the Rego engine is loaded, which shares no process with RE2.
"""

import ipaddress
import json
import re
import string
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.format.matcher_specs import MAX_MATCHERS, MAX_PATTERNS, glob_regex
from scopebound_engine.bundle.matchers import EMPTY, Matchers, problems
from scopebound_engine.decision.facts import Call, build
from scopebound_engine.errors import BundleError, Finding, ManifestError
from scopebound_engine.matching.patterns import MAX_MATCHING_STEPS, Budget, compile_pattern
from scopebound_engine.session.state.seam import UNLIMITED, SessionFacts

ANSWERS = {"absent", "unfit", "yes", "no"}


def manifest(matchers: Any) -> Manifest:
    document = {
        "name": "sample",
        "version": "1.0.0",
        "entrypoint": "a/b",
        "deny_codes": [{"code": "MY_CODE", "severity": "low", "description": "x"}],
        "matchers": matchers,
    }
    return Manifest.from_bytes(json.dumps(document).encode())


def refused(matchers: Any) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        manifest(matchers)
    return [finding.message for finding in caught.value.findings]


def judged(value: Any, **operator: Any) -> str:
    """What a matcher says of an argument."""
    matchers = Matchers.of(manifest({"m": {"path": "/call_args/v", **operator}}))
    return matchers.judge({"call_args": {"v": value}})["m"]


# What the manifest says


@pytest.mark.parametrize(
    ("matchers", "message"),
    [
        ([], "matchers is an array, not an object"),
        ({"a": 1}, "matchers.a: it is a number, not an object"),
        ({"A": {"path": "/tool_name", "regex": "x"}}, '"A" is no name'),
        ({"a-b": {"path": "/tool_name", "regex": "x"}}, '"a-b" is no name'),
        ({"": {"path": "/tool_name", "regex": "x"}}, '"" is no name'),
        ({"a" * 65: {"path": "/tool_name", "regex": "x"}}, "is no name"),
        ({"a": {}}, "exactly path and one of regex, glob, cidr"),
        ({"a": {"path": "/tool_name"}}, "exactly path and one of"),
        ({"a": {"regex": "x"}}, "exactly path and one of"),
        ({"a": {"path": "/tool_name", "regexp": "x"}}, "exactly path and one of"),
        ({"a": {"path": "/tool_name", "regex": "x", "glob": "x"}}, "exactly path and one of"),
        ({"a": {"path": 1, "regex": "x"}}, "path must be a JSON Pointer"),
        ({"a": {"path": "", "regex": "x"}}, "path must be a JSON Pointer"),
        ({"a": {"path": "tool_name", "regex": "x"}}, "path must be a JSON Pointer"),
        ({"a": {"path": "/call_args/a~2", "regex": "x"}}, "path must be a JSON Pointer"),
        ({"a": {"path": "/call_args//a", "regex": "x"}}, "path must be a JSON Pointer"),
        ({"a": {"path": "/call_args/" + "a" * 250, "regex": "x"}}, "path must be a JSON Pointer"),
        ({"a": {"path": "/call_args", "regex": "x"}}, "names nothing that is matched"),
        ({"a": {"path": "/claims", "regex": "x"}}, "names nothing that is matched"),
        ({"a": {"path": "/tool_name/0", "regex": "x"}}, "names nothing that is matched"),
        ({"a": {"path": "/now/hour", "regex": "x"}}, "write /tool_name, /mcp_server, /child/role"),
        ({"a": {"path": "/child/allowed_tools/0", "regex": "x"}}, "names nothing"),
        ({"a": {"path": "/tool_name", "regex": 1}}, "a regex is a number, not a string"),
        ({"a": {"path": "/tool_name", "regex": None}}, "a regex is null, not a string"),
        ({"a": {"path": "/tool_name", "regex": []}}, "regex is an empty list"),
        ({"a": {"path": "/tool_name", "regex": ["x", 1]}}, "a regex is a number, not a string"),
        ({"a": {"path": "/tool_name", "prefix": ""}}, "a prefix must have 1 to 2000 characters"),
        ({"a": {"path": "/tool_name", "suffix": "x" * 2001}}, "a suffix must have 1 to 2000"),
        ({"a": {"path": "/tool_name", "cidr": "10.0.0.0"}}, "the length of its prefix"),
        ({"a": {"path": "/tool_name", "cidr": "10.0.0.1/8"}}, "10.0.0.1/8 has host bits set"),
        ({"a": {"path": "/tool_name", "cidr": "10.0.0.0/33"}}, "cidr"),
        ({"a": {"path": "/tool_name", "cidr": "10.0.0.0/255.0.0.0"}}, "length of its prefix"),
        ({"a": {"path": "/tool_name", "cidr": "010.0.0.0/8"}}, "cidr"),
        ({"a": {"path": "/tool_name", "cidr": "fe80::%1/64"}}, "length of its prefix"),
        ({"a": {"path": "/tool_name", "cidr": "::ffff:10.0.0.0/104"}}, "write the IPv4 network"),
        ({"a": {"path": "/tool_name", "glob": "a["}}, "[ is not a wildcard here"),
        ({"a": {"path": "/tool_name", "glob": "*.{a,b}"}}, "write several patterns or a regex"),
        ({"a": {"path": "/tool_name", "glob": "a***"}}, "more than two * in a row"),
        ({"a": {"path": "/tool_name", "glob": "a\\"}}, "a \\ at the end stands for nothing"),
    ],
)
def test_a_matcher_that_is_not_as_it_must_be_is_named(matchers: Any, message: str) -> None:
    (told,) = refused(matchers)
    assert message in told


def test_there_is_a_limit_to_matchers_and_to_patterns() -> None:
    one = {"path": "/tool_name", "prefix": "x"}
    assert manifest({f"m{n}": one for n in range(MAX_MATCHERS)})
    (many,) = refused({f"m{n}": one for n in range(MAX_MATCHERS + 1)})
    assert many == "matchers has 65 entries; at most 64 are computed for a call"
    assert manifest({"m": {"path": "/tool_name", "prefix": ["x"] * MAX_PATTERNS}})
    (long,) = refused({"a": one, "m": {"path": "/tool_name", "prefix": ["x"] * MAX_PATTERNS}})
    assert long == "matchers has 257 patterns; at most 256 are kept"


def told(matchers: Any) -> list[Finding]:
    return [*problems(manifest(matchers))]


def test_what_re2_does_not_accept_is_an_error_and_no_matchers() -> None:
    declared = {
        "a": {"path": "/tool_name", "regex": ["^(?=a)b$", "^x$", "^(a)\\1$"]},
        "b": {"path": "/tool_name", "glob": "?" * 200},
    }
    found = told(declared)
    assert [(item.step, item.file, item.level) for item in found] == [
        ("matchers", "manifest.json", "error")
    ] * 3
    assert found[0].message.startswith("matchers.a: a lookahead is not supported by RE2")
    assert found[1].message.startswith("matchers.a: a backreference is not supported by RE2")
    assert found[2].message == "matchers.b: the pattern is longer than 2000 characters"
    with pytest.raises(BundleError) as caught:
        Matchers.of(manifest(declared))
    assert list(caught.value.findings) == found


def test_a_pattern_that_is_not_tied_to_both_ends_is_a_warning() -> None:
    declared = {"a": {"path": "/call_args/to", "regex": [r"@company\.com$", r"^a|b$", r"^a$"]}}
    assert [item.level for item in told(declared)] == ["warning"] * 2
    assert told(declared)[0].message == (
        r'matchers.a: "@company\.com$" says yes too where more stands around what it matches'
    )
    assert Matchers.of(manifest(declared)).judge({"call_args": {"to": "b"}}) == {"a": "yes"}


# Where the value is

ARGS = {
    "text": "x",
    "null": None,
    "number": 1,
    "true": True,
    "list": ["x", ["x"], None],
    "object": {"x": "x", "0": "x"},
    "a/b": "x",
    "m~n": "x",
    "~1": "x",
    "": "x",
    "long": ["x"] * 12,
}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/call_args/text", "yes"),
        ("/call_args/Text", "absent"),
        ("/call_args/null", "unfit"),
        ("/call_args/number", "unfit"),
        ("/call_args/true", "unfit"),
        ("/call_args/list", "unfit"),
        ("/call_args/list/0", "yes"),
        ("/call_args/list/1", "unfit"),
        ("/call_args/list/1/0", "yes"),
        ("/call_args/list/2", "unfit"),
        ("/call_args/list/3", "absent"),
        ("/call_args/list/99999999999999999999999999", "absent"),
        ("/call_args/list/00", "unfit"),
        ("/call_args/list/-", "unfit"),
        ("/call_args/list/-1", "unfit"),
        ("/call_args/list/\u0660", "unfit"),
        ("/call_args/list/x", "unfit"),
        ("/call_args/long/11", "yes"),
        ("/call_args/object", "unfit"),
        ("/call_args/object/x", "yes"),
        ("/call_args/object/0", "yes"),
        ("/call_args/object/y", "absent"),
        ("/call_args/object/y/z", "absent"),
        ("/call_args/text/x", "unfit"),
        ("/call_args/null/x", "unfit"),
        ("/call_args/a~1b", "yes"),
        ("/call_args/m~0n", "yes"),
        ("/call_args/~01", "yes"),
        ("/tool_name", "yes"),
        ("/mcp_server", "absent"),
        ("/child/role", "absent"),
        ("/claims/role", "yes"),
        ("/claims/parent_session_id", "absent"),
        ("/claims/exp", "unfit"),
        ("/claims/bound/approval_required/0", "yes"),
        ("/claims/gone/role", "absent"),
    ],
)
def test_a_path_is_followed_by_the_letter(path: str, answer: str) -> None:
    document = {
        "call_args": ARGS,
        "tool_name": "x",
        "mcp_server": None,
        "claims": {
            "role": "x",
            "exp": 1,
            "parent_session_id": None,
            "bound": {"approval_required": ["x"]},
        },
    }
    declared = {"m": {"path": path, "regex": "^x$"}}
    assert Matchers.of(manifest(declared)).judge(document) == {"m": answer}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "0", "1", ""]) | st.text(max_size=3), inner)
    ),
    max_leaves=12,
)
OPERATORS = {
    "regex": ["^(?!b)a+$", "0"],
    "glob": ["*a", "?"],
    "cidr": ["10.0.0.0/8", "::/0"],
    "prefix": ["a"],
    "suffix": ["0"],
    "casefold_equals": ["ß", "a"],
}
PATHS = ["/call_args/a", "/call_args/a/0", "/call_args/0/a/1", "/claims/a", "/tool_name"]
TOTAL = Matchers.of(
    manifest(
        {
            f"m{index}_{operator}": {"path": path, operator: patterns}
            for index, path in enumerate(PATHS)
            for operator, patterns in OPERATORS.items()
        }
    )
)


@given(st.dictionaries(st.sampled_from(["call_args", "claims", "tool_name"]), JSON))
def test_every_matcher_answers_whatever_the_document(document: dict[str, Any]) -> None:
    answers = TOTAL.judge(document)
    assert len(answers) == len(PATHS) * len(OPERATORS)
    assert {*answers.values()} <= ANSWERS


# What the value is


REGEXES = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", "\\.", "(?i:A)"]),
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("(?:%s|%s)".__mod__)
        | inner.map("(?:%s)*".__mod__)
        | inner.map("(?:%s){1,2}".__mod__)
    ),
    max_leaves=8,
)


# Without a line break at the end: before it, too, Python's $ matches.
@given(REGEXES, st.text("ab.\n", max_size=6).map(lambda text: text.rstrip("\n")))
def test_a_regex_matches_as_pythons_does(pattern: str, value: str) -> None:
    expected = re.search(pattern, value) is not None
    assert judged(value, regex=pattern) == ("yes" if expected else "no")


def slowly(glob: str, text: str) -> bool:
    """What a glob means, said once more: by trying everything."""
    if not glob:
        return not text
    for wild in ("**", "*"):
        if glob.startswith(wild):
            ends = range(len(text) + 1)
            return any(
                (wild == "**" or not BARRED.intersection(text[:end]))
                and slowly(glob[len(wild) :], text[end:])
                for end in ends
            )
    if glob[0] == "?":
        return bool(text) and text[0] not in BARRED and slowly(glob[1:], text[1:])
    literal, rest = (glob[1], glob[2:]) if glob[0] == "\\" else (glob[0], glob[1:])
    return bool(text) and text[0] == literal and slowly(rest, text[1:])


BARRED = {"/", "@", "\x7f", *map(chr, range(32))}


@given(glob=st.text("a*?/@.\\", min_size=1, max_size=7), text=st.text("a*?/@.\\\n", max_size=7))
def test_a_glob_matches_as_its_reference_does(glob: str, text: str) -> None:
    try:
        glob_regex(glob)
    except ValueError:
        return
    assert judged(text, glob=glob) == ("yes" if slowly(glob, text) else "no")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
SOME = TEXT.filter(len)


@given(SOME)
def test_any_character_may_stand_for_itself_in_a_glob(text: str) -> None:
    glob = "".join(f"\\{character}" for character in text)
    assert judged(text, glob=glob) == "yes"
    assert judged(text + "x", glob=glob) == "no"


@pytest.mark.parametrize("character", sorted({*string.printable} - {*"*?[]{}\\"}))
def test_what_is_no_wildcard_stands_for_itself(character: str) -> None:
    assert judged(character, glob=character) == "yes"
    assert judged("é" if character != "é" else "e", glob=character) == "no"


@pytest.mark.parametrize(
    ("glob", "value", "answer"),
    [
        ("*@company.com", "alice@company.com", "yes"),
        ("*@company.com", "first.last+tag@company.com", "yes"),
        ("*@company.com", "alice@company.com.evil.example", "no"),
        ("*@company.com", "alice@evil.example,bob@company.com", "no"),
        ("*@company.com", "a\nbcc: eve@company.com", "no"),
        ("*@company.com", "alice@COMPANY.com", "no"),
        ("**@company.com", "alice@evil.example,bob@company.com", "yes"),
        ("*.company.com", "a.b.company.com", "yes"),
        ("*.company.com", "company.com", "no"),
        ("*.company.com", "evil.example/.company.com", "no"),
        ("/srv/*.csv", "/srv/a.csv", "yes"),
        ("/srv/*.csv", "/srv/a/b.csv", "no"),
        ("/srv/**.csv", "/srv/a/b.csv", "yes"),
        ("/srv/**", "/srv/", "yes"),
        ("/srv/**", "/srv", "no"),
        ("read_?", "read_é", "yes"),
        ("read_?", "read_", "no"),
        ("read_?", "read_xy", "no"),
        ("a\\*b", "a*b", "yes"),
        ("a\\*b", "axb", "no"),
        ("**", "\n/@\x00é", "yes"),
    ],
)
def test_globs_of_mail_domains_and_paths(glob: str, value: str, answer: str) -> None:
    assert judged(value, glob=glob) == answer


@pytest.mark.parametrize(
    ("cidr", "value", "answer"),
    [
        ("10.0.0.0/8", "10.255.0.1", "yes"),
        ("10.0.0.0/8", "11.0.0.0", "no"),
        ("10.0.0.0/8", "::1", "no"),
        ("0.0.0.0/0", "255.255.255.255", "yes"),
        ("169.254.169.254/32", "169.254.169.254", "yes"),
        ("fd00::/8", "fd12:3456::1", "yes"),
        ("fd00::/8", "FD12:3456::1", "yes"),
        ("fd00::/8", "10.0.0.1", "no"),
        ("::/0", "1:2:3:4:5:6:1.2.3.4", "yes"),
        (["10.0.0.0/8", "fd00::/8"], "fd00::", "yes"),
        # Ways to write an address around a rule.
        ("10.0.0.0/8", "::ffff:10.0.0.1", "unfit"),
        ("::/0", "::ffff:a00:1", "unfit"),
        ("10.0.0.0/8", "::10.0.0.1", "unfit"),
        ("10.0.0.0/8", "::ffff:0:10.0.0.1", "unfit"),
        ("10.0.0.0/8", "64:ff9b::10.0.0.1", "unfit"),
        ("10.0.0.0/8", "64:ff9b:1::a00:1", "unfit"),
        ("10.0.0.0/8", "2002:a00:1::1", "unfit"),
        ("10.0.0.0/8", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "unfit"),
        ("::/128", "::", "yes"),
        ("::1/128", "::1", "yes"),
        ("2001:db8::/32", "2001:db8::1", "yes"),
        ("10.0.0.0/8", "010.0.0.1", "unfit"),
        ("10.0.0.0/8", "10.0.0.01", "unfit"),
        ("10.0.0.0/8", "10.1", "unfit"),
        ("10.0.0.0/8", "167772161", "unfit"),
        ("10.0.0.0/8", "0xa.0.0.1", "unfit"),
        ("10.0.0.0/8", "10.0.0.1 ", "unfit"),
        ("10.0.0.0/8", "10.0.0.1\n", "unfit"),
        ("10.0.0.0/8", "10.0.0.1:80", "unfit"),
        ("10.0.0.0/8", "10.0.0.1/8", "unfit"),
        ("10.0.0.0/8", "\uff110.0.0.1", "unfit"),
        ("fe80::/10", "fe80::1%eth0", "unfit"),
        ("fe80::/10", "[fe80::1]", "unfit"),
        ("10.0.0.0/8", "localhost", "unfit"),
        ("10.0.0.0/8", "", "unfit"),
        ("10.0.0.0/8", "1" * 100_000, "unfit"),
    ],
)
def test_an_address_is_in_a_network_or_is_none(cidr: Any, value: str, answer: str) -> None:
    assert judged(value, cidr=cidr) == answer


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_networks_are_those_of_their_bits(address: ipaddress.IPv4Address, length: int) -> None:
    bits = 32 - length
    network = ipaddress.IPv4Address(int(address) >> bits << bits)
    assert judged(str(address), cidr=f"{network}/{length}") == "yes"
    if length:
        other = ipaddress.IPv4Address(int(address) ^ (1 << bits))
        assert judged(str(other), cidr=f"{network}/{length}") == "no"


@given(st.lists(SOME, min_size=1, max_size=3), TEXT)
def test_prefixes_and_suffixes_are_compared_by_character(patterns: list[str], value: str) -> None:
    starts = any(value[: len(pattern)] == pattern for pattern in patterns)
    ends = any(value[-len(pattern) :] == pattern for pattern in patterns)
    assert judged(value, prefix=patterns) == ("yes" if starts else "no")
    assert judged(value, suffix=patterns) == ("yes" if ends else "no")


@pytest.mark.parametrize(
    ("pattern", "value", "answer"),
    [
        ("alice", "ALICE", "yes"),
        ("ALICE", "alice", "yes"),
        ("alice", "alic\u0435", "no"),  # the last letter is Cyrillic
        ("alice", "alice ", "no"),
        ("Ärger", "äRGER", "yes"),
        ("ΣΑΣ", "σας", "yes"),
        ("straße", "STRAßE", "yes"),
        ("İ", "İ", "yes"),
        # Letters that fold to others, are written in two parts, or are wide.
        ("kim", "\u212aim", "unfit"),
        ("sam", "\u017fam", "unfit"),
        ("strasse", "straße", "unfit"),
        ("straße", "STRASSE", "unfit"),
        ("file", "ﬁle", "unfit"),
        ("Ärger", "A\u0308rger", "unfit"),
        ("A\u0308rger", "ärger", "unfit"),
        ("admin", "\uff41dm\uff49n", "unfit"),
        ("admin", "\u24d0dmin", "unfit"),
        (["admin", "root"], "ROOT", "yes"),
        ("a", "a" * 1_000_000, "no"),
    ],
)
def test_texts_are_equal_but_for_case_or_only_look_so(
    pattern: Any, value: str, answer: str
) -> None:
    assert judged(value, casefold_equals=pattern) == answer


@given(SOME, TEXT)
def test_what_folds_alike_is_never_a_no(pattern: str, value: str) -> None:
    answer = judged(value, casefold_equals=pattern)
    if value.casefold() == pattern.casefold():
        assert answer in {"yes", "unfit"}
    if answer == "yes":
        assert value.casefold() == pattern.casefold()
    assert judged(unicodedata.normalize("NFD", pattern), casefold_equals=pattern) != "no"


# How long it takes


def test_the_patterns_of_a_call_share_its_budget() -> None:
    declared = {f"m{n}": {"path": "/call_args/v", "regex": "^a+$"} for n in range(3)}
    matchers = Matchers.of(manifest(declared))
    document = {"call_args": {"v": "a" * 1000}}
    assert {*matchers.judge(document).values()} == {"yes"}
    assert {*matchers.judge(document, Budget(0)).values()} == {"unfit"}
    budget = Budget(compile_pattern("^a+$").steps(1000) + 1000)
    assert list(matchers.judge(document, budget).values()) == ["yes", "unfit", "unfit"]
    assert not budget.spend(1)


def test_what_the_role_spent_is_not_left_to_the_bundle() -> None:
    matchers = Matchers.of(manifest({"m": {"path": "/call_args/v", "regex": "^(?:a|b){200}x$"}}))
    contains = {"field": "v", "operator": "contains", "value": "x", "required": False}
    call = Call("tool_call", "pay", {"v": "a" * 40_000}, "call-1")
    session = SessionFacts(UNLIMITED, UNLIMITED)

    def answer(times: int) -> str:
        claims = {"parameter_constraints": {"pay": [contains] * times}}
        matches: dict[str, str] = build(call, claims, 0, session, matchers=matchers)["matches"]
        return matches["m"]

    assert answer(0) == "no"
    assert answer(MAX_MATCHING_STEPS // 40_000) == "unfit"


def test_many_matchers_of_a_long_text_end_in_time() -> None:
    declared = {
        f"m{n}": {"path": "/call_args/v", operator: pattern}
        for n, (operator, pattern) in enumerate(
            [("suffix", "x"), ("prefix", "x"), ("regex", "^(?:[a-z]{0,30}-){20}$"), ("glob", "**x")]
            * 16
        )
    }
    answers = Matchers.of(manifest(declared)).judge({"call_args": {"v": "a" * 1_000_000}})
    assert {*answers.values()} == {"no", "unfit"}


def test_without_matchers_there_are_no_answers() -> None:
    assert EMPTY.judge({}) == {}
    assert Matchers.of(manifest({})).judge({"tool_name": "x"}) == {}
