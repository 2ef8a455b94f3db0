"""Patterns: what RE2 finds, what it refuses and how that is said."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine.errors import InputError
from scopebound_engine.matching.patterns import (
    MAX_PATTERN_LENGTH,
    compile_pattern,
    split_lookahead,
)

BRANCHES = "^(?!(main|master|production$)).+"


def found(pattern: str, value: str) -> bool:
    return compile_pattern(pattern).found_in(value.encode())


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        (r".*@company\.com$", "alice@company.com", True),
        (r".*@company\.com$", "alice@company.com.evil", False),
        (r".*@company\.com$", "alice@companyXcom", False),
        (r".*@company\.com$", "x@evil.com\n@company.com", True),
        ("b", "abc", True),
        ("^a$", "a\n", False),
        ("(?m)^a$", "b\na\nc", True),
        ("^.$", "é", True),
        ("^.$", "\n", False),
        ("(?i)ÄB", "xäby", True),
        (r"^\p{Greek}+$", "λόγος", True),
        (r"^\Q.*\E$", ".*", True),
        (r"\z", "", True),
    ],
)
def test_a_pattern_matches_anywhere_on_the_real_string(
    pattern: str, value: str, expected: bool
) -> None:
    assert found(pattern, value) is expected


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("(?=a)b", "a lookahead"),
        ("a(?!b)", "a negative lookahead"),
        ("(?!a)b", "a negative lookahead"),
        ("^(?!a)b|c", "a negative lookahead"),
        ("^(?!a)(?!b)c", "a negative lookahead"),
        ("^(?!(?!a))b", "a negative lookahead"),
        ("(?<=a)b", "a lookbehind"),
        ("(?<!a)b", "a negative lookbehind"),
        (r"(a)\1", "a backreference"),
        (r"(?P<x>a)\k<x>", "a backreference"),
        ("(?P<x>a)(?P=x)", "a reference to a named group"),
        ("(?>a)", "an atomic group"),
        ("a++", "possessive"),
        ("(a)(?(1)b|c)", "a conditional"),
        ("(?#note)a", "a comment"),
        (r"a\Z", r"write \z"),
        (r"\u0041", r"a \u escape"),
    ],
)
def test_what_re2_lacks_is_refused_by_name_and_with_a_remedy(pattern: str, name: str) -> None:
    with pytest.raises(InputError) as caught:
        compile_pattern(pattern)
    assert name in caught.value.detail
    assert "not supported by RE2: " in caught.value.detail


@pytest.mark.parametrize("pattern", ["(", ")", "[a", "*a", "a{1001}", "\\", "a" * 2001, "[[:x:]]"])
def test_a_broken_or_oversized_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InputError) as caught:
        compile_pattern(pattern)
    assert len(pattern) <= MAX_PATTERN_LENGTH or "longer than 2000" in caught.value.detail


def test_a_refused_pattern_writes_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    for pattern in ("(", r"(?:\pL{1,100}){1,10}"):
        with pytest.raises(InputError):
            compile_pattern(pattern)
    hungry = compile_pattern("(?:a|b)*a(?:a|b){60}c")
    assert hungry.found_in(b"ab" * 50 + os.urandom(2000).hex().encode()) in (True, False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("feature/x", True),
        ("main", False),
        ("mainline", False),
        ("production", False),
        ("production-fix", True),
        ("", False),
        ("x\nmain", True),
    ],
)
def test_the_published_branch_pattern_is_computed(value: str, expected: bool) -> None:
    assert found(BRANCHES, value) is expected


def test_what_follows_the_lookahead_is_tied_to_the_start_too() -> None:
    assert found("^(?!a)b", "bc")
    assert not found("^(?!a)b", "cb")


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        (BRANCHES, ("(main|master|production$)", ".+")),
        ("^(?!a)", ("a", "")),
        ("^(?![)])b", ("[)]", "b")),
        ("^(?![])])b", ("[])]", "b")),
        (r"^(?!\))b", (r"\)", "b")),
        (r"^(?!\Q)\E)b", (r"\Q)\E", "b")),
        ("^(?!(?:a|(b)))(c|d)", ("(?:a|(b))", "(c|d)")),
        (r"^(?!a)[b|]\|\Q|\E", ("a", r"[b|]\|\Q|\E")),
        ("^(?!a)b|c", (None, "^(?!a)b|c")),
        ("^(?!a", (None, "^(?!a")),
        ("(?!a)b", (None, "(?!a)b")),
        ("^a", (None, "^a")),
    ],
)
def test_a_leading_lookahead_is_told_from_the_rest(
    pattern: str, parts: tuple[str | None, str]
) -> None:
    assert split_lookahead(pattern) == parts


@pytest.mark.parametrize("pattern", ["^(?!a)b)(c", "^(?!a)+b", "^(?!a)*", "^(?!a))|(?:b"])
def test_parts_that_are_no_patterns_alone_are_refused(pattern: str) -> None:
    with pytest.raises(InputError):
        compile_pattern(pattern)


SIMPLE = st.text("ab()|*.$", max_size=8)


@given(ahead=SIMPLE, rest=SIMPLE, value=st.text("ab", max_size=4))
def test_a_leading_lookahead_means_what_it_means_to_python(
    ahead: str, rest: str, value: str
) -> None:
    pattern = f"^(?!{ahead}){rest}"
    try:
        expected = re.search(pattern, value) is not None
        actual = found(pattern, value)
    except (re.error, InputError):
        return
    assert actual is expected


def test_compiled_patterns_are_kept_and_know_their_cost() -> None:
    pattern = compile_pattern("^a+$")

    assert compile_pattern("^a+$") is pattern
    assert pattern.steps(1000) == 1000 * pattern.instructions > 0
    assert compile_pattern("^(?!b)a+$").instructions > pattern.instructions
