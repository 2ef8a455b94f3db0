"""What a manifest declares as a matcher is accepted, warned of, or refused by name."""

from typing import Any

import pytest

from scopebound_engine.bundle.format.matcher_specs import MAX_MATCHERS, MAX_PATTERNS
from scopebound_engine.bundle.matchers import Matchers, problems
from scopebound_engine.errors import BundleError, Finding, ManifestError
from tests.matching.judging import manifest


def refused(matchers: Any) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        manifest(matchers)
    return [finding.message for finding in caught.value.findings]


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
