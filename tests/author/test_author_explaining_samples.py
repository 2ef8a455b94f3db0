import pytest

from scopebound_engine.author.explaining.samples import matching
from scopebound_engine.matching.patterns import compile_pattern

PATTERNS = [
    r"^acct_[0-9]{6}$",
    r"@company\.com$",
    r"^[^@]+@example\.(com|org)$",
    r"^(?!evil)[a-z]+$",
    r"^[A-Z]{2}\d{4,}-[x-z]$",
    r"(?i)^HELLO$",
    r"^https://[\w.]+/path\?q=1$",
    r"^\Qa.b\E+$",
    r"^[^a-zA-Z0-9]$",
    r"^(?:(?:a|b)c)+$",
    r"^.{3}$",
    r"é+",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_sample_is_matched_by_re2(pattern: str) -> None:
    found = matching(pattern)
    assert found
    assert all(compile_pattern(pattern).found_in(text.encode()) for text in found)


@pytest.mark.parametrize("pattern", [r"(", r"\b\B", "^a$b", r"^(?!a)a"])
def test_what_re2_does_not_confirm_is_not_offered(pattern: str) -> None:
    assert matching(pattern) == []


def test_each_choice_at_the_top_is_a_sample() -> None:
    assert matching("^(?:open)$|^paid$|^late$") == ["open", "paid", "late"]
