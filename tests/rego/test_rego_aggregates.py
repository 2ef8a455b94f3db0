import pytest

from scopebound_engine.rego.checks.aggregates import unsafe_sums
from tests.rego.plans import told, values_of

DATA = {"config": {"prices": [1, 2.5], "mixed": [1, "2"]}}


def sums(*rules: str) -> list[str]:
    return told(unsafe_sums(values_of(*rules, data=DATA)))


@pytest.mark.parametrize(
    "collection",
    [
        "input.call_args.amounts",
        "input.claims.allowed_tools",
        "data.config.mixed",
        '[5000, "0"]',
        "[input.call_args.a, 1]",
        "[l.amount | some l in input.call_args.lines]",
        "[l.amount | some l in input.call_args.lines; is_number(l.count)]",
        "[l.amount | some l in input.call_args.lines; not is_number(l.amount)]",
        "{l.amount | some l in input.call_args.lines}",
    ],
)
def test_a_sum_of_who_knows_what_is_found(collection: str) -> None:
    (found,) = sums(f"x if sum({collection}) > 1000")
    assert found.startswith("2: sum is given what is not known to be only numbers")


@pytest.mark.parametrize(
    "collection",
    [
        "[n | some l in input.call_args.lines; n := l.amount; is_number(n)]",
        "[l.amount | some l in input.call_args.lines; is_number(l.amount)]",
        "{n | some n in input.call_args.l; is_number(n)}",
        "[m | some n in input.call_args.l; m := n * 2]",
        "[count(input.claims.allowed_tools), 1]",
        "[1 | some _ in input.call_args.l]",
        "input.claims.allowed_days",
        "data.config.prices",
        "[]",
    ],
)
def test_a_sum_of_numbers_passes(collection: str) -> None:
    assert sums(f"x if sum({collection}) > 1000") == []


def test_numbers_that_a_rule_gathers_may_be_summed() -> None:
    gathered = "n contains a if { some a in input.call_args.l; is_number(a) }"
    assert sums("x if sum(n) > 1", gathered) == []
    assert len(sums("x if sum(n) > 1", gathered.replace("is_number(a)", "a != 1"))) == 1
