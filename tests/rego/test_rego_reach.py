import pytest

from scopebound_engine.rego.checks.reach import unheard
from tests.rego.plans import values_of

GATHERED = 'x := d\nd contains v("A") if input.a\nv(c) := {"code": c, "reason": "r"}'


def told(*rules: str) -> list[tuple[str, int, str]]:
    found = unheard(values_of(GATHERED, *rules), "t/x")
    return [(item.level, item.line, item.message) for item in found]


@pytest.mark.parametrize(
    "rule",
    [
        'e contains {"code": "A", "reason": "r"} if input.a',
        'e contains v("A") if input.a',
        'e contains w if { input.a; w := v("A") }',
        'e contains w if { input.a; some c in ["A", "B"]; w := v(c) }',
        'e := {"code": "A", "reason": "r"} if input.a',
        'e[c] := {"code": c, "reason": "r"} if some c in ["A", "B"]',
        'e := v("A") if input.a',
    ],
)
def test_a_denial_that_nobody_gathers_is_an_error(rule: str) -> None:
    message = "data.t.e makes violations that t/x never sees: it denies nothing"
    assert told(rule) == [("error", 5, message)]


def test_a_denial_made_by_a_rule_that_is_gathered_elsewhere_is_an_error() -> None:
    found = told(
        'n := {"code": "A", "reason": "r"}', "d contains n if input.b", "e contains n if input.c"
    )
    assert [(level, line) for level, line, _ in found] == [("error", 7)]


@pytest.mark.parametrize(
    "rule", ["e := 1", "e if count(d) > 0", "e contains w if some w in d", "e := d"]
)
def test_any_other_rule_that_nothing_needs_is_a_warning(rule: str) -> None:
    assert told(rule) == [("warning", 5, "data.t.e is used by nothing that t/x reaches")]


def test_what_is_needed_in_turn_is_reached() -> None:
    assert told("d contains v(e) if f", "e := g", 'g := "A"', "f if not h", "h if input.b") == []
