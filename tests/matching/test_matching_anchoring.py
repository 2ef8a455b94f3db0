"""Anchoring: judged on the pattern's structure, never claimed where it does not hold."""

import re
import warnings
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine.errors import InputError
from scopebound_engine.matching.anchoring import anchored, warnings_for
from scopebound_engine.matching.patterns import compile_pattern


@dataclass(frozen=True)
class Rule:
    field: str
    operator: str
    value: Any


@pytest.mark.parametrize(
    "pattern",
    [
        "^a$",
        "^(a|b)$",
        "^(?:a|b)$",
        "(?:^a|^b)(?:c$|d$)",
        r"\Aa\z",
        "(?i)^a$",
        "(?-m)^a$",
        "(?m)(?-m:^a$)",
        "(?P<name>^a$)",
        "(?<name>^a$)",
        "(?:^a$)+",
        "(?:^a$){2}",
        "^[^$]$",
        r"^\Qa|b\E$",
        "^[[:alpha:]|]$",
        "^(?!a$)b$",
        "^a$|^b$",
        "$^",
    ],
)
def test_patterns_that_take_the_whole_value(pattern: str) -> None:
    compile_pattern(pattern)
    assert anchored(pattern) == (True, True)


@pytest.mark.parametrize(
    ("pattern", "start", "end"),
    [
        ("", False, False),
        ("a", False, False),
        ("^a", True, False),
        (r".*@company\.com$", False, True),
        ("^a|b$", False, False),
        ("^a$|b", False, False),
        ("^a$|", False, False),
        ("(?m)^a$", False, False),
        ("(?im)^a$", False, False),
        ("(?m:^a)$", False, True),
        ("a|(?m)b|^c$", False, False),
        ("(?:^a$)?", False, False),
        ("(?:^a$)*", False, False),
        ("(?:^a$){0,2}", False, False),
        ("^*a$", False, True),
        (r"\^a\$", False, False),
        (r"\\^a\\$", True, True),
        ("[^a]", False, False),
        ("^a[$]", True, False),
        ("^[]$]", True, False),
        (r"^\Qa$", True, False),
        ("^[[:alpha:](]|b[[:alpha:])]$", False, False),
        ("^(?!a).+", True, False),
    ],
)
def test_patterns_that_do_not(pattern: str, start: bool, end: bool) -> None:
    compile_pattern(pattern)
    assert anchored(pattern) == (start, end)


def test_deep_nesting_is_judged_without_recursion() -> None:
    assert anchored("^" + "(" * 900 + "a" + ")" * 900 + "$") == (True, True)


VALUES = ["".join(value) for length in range(4) for value in product("ab", repeat=length)]


@given(st.text("ab^$|()*?+", max_size=9))
def test_a_pattern_called_anchored_never_matches_only_a_part(pattern: str) -> None:
    try:
        compile_pattern(pattern)
        with warnings.catch_warnings(action="ignore"):
            compiled = re.compile(pattern)
    except (InputError, re.error):
        return
    start, end = anchored(pattern)
    for value in VALUES:
        for match in compiled.finditer(value):
            assert not start or match.start() == 0
            assert not end or match.end() == len(value)


@pytest.mark.parametrize(
    ("pattern", "better"),
    [
        (r".*@company\.com$", r"^.*@company\.com$"),
        ("^a", "^a$"),
        ("^a|b$", "^(?:^a|b$)$"),
        ("(?m)^a$", "^(?:(?m)^a$)$"),
        ("^(?!a$).+", "^(?!a$).+$"),
        ("^(?!a$)", "^(?!a$).*$"),
        (r"^\Qa$", "^(?:…)$"),
    ],
)
def test_a_warning_says_how_to_write_it(pattern: str, better: str) -> None:
    (warning,) = warnings_for([Rule("to", "regex", pattern)])

    assert warning.startswith(f'to: the pattern "{pattern}" lets through ')
    assert warning.endswith(f'write "{better}"')


def test_a_warning_names_the_loose_sides() -> None:
    def sides(pattern: str) -> str:
        return warnings_for([Rule("f", "regex", pattern)])[0]

    assert "more before what" in sides("a$")
    assert "more after what" in sides("^a")
    assert "more before or after what" in sides("a")


def test_what_a_better_pattern_lets_through_the_first_one_did_too() -> None:
    smuggled = b"x@evil.com\n@company.com"

    assert compile_pattern(r".*@company\.com$").found_in(smuggled)
    assert not compile_pattern(r"^.*@company\.com$").found_in(smuggled)


def test_two_patterns_on_one_field_are_told_and_one_twice_is_not() -> None:
    one, other = Rule("path", "regex", "^/a$"), Rule("path", "regex", "^/b$")

    assert len(warnings_for([one, other])) == 1
    assert warnings_for([one, one]) == []
    assert warnings_for([one, Rule("dir", "regex", "^/b$")]) == []


def test_a_loose_refusal_is_told() -> None:
    (warning,) = warnings_for([Rule("branch", "regex", "^(?!main).*$")])

    assert "also refuses longer values" in warning
    assert warnings_for([Rule("branch", "regex", "^(?!(?:main)$).*$")]) == []


def test_other_operators_are_not_read_as_patterns() -> None:
    assert warnings_for([Rule("f", "eq", "a"), Rule("f", "in", ["a"]), Rule("f", "lt", 5)]) == []
