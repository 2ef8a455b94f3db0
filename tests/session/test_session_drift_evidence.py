"""The evidence of drift and the fit of a baseline: their formulas."""

import math
from collections import Counter

import pytest

from scopebound_engine.session.drift.evidence import log_evidence
from scopebound_engine.session.drift.likelihood import MIN_SESSIONS, fit
from scopebound_engine.session.drift.simulation import TOOLS, World


def usual_counts(concentration: float, calls: int, seed: int) -> Counter[str]:
    return Counter(TOOLS[tool] for tool in World(concentration, seed).usual(calls))


def test_before_the_first_call_there_is_no_evidence() -> None:
    assert log_evidence({}, World(30).baseline) == 0.0


def test_the_closed_form_equals_the_product_over_the_calls_one_by_one() -> None:
    baseline = World(30).baseline
    seen: Counter[str] = Counter()
    ratio = 0.0
    weights = dict(zip(TOOLS, baseline.weights, strict=False))
    for tool in usual_counts(30, 200, seed=3).elements():
        before = sum(seen.values())
        anything = (seen[tool] + 0.5) / (before + 0.5 * (len(TOOLS) + 1))
        expected = (seen[tool] + weights[tool]) / (before + sum(baseline.weights))
        ratio += math.log(anything) - math.log(expected)
        seen[tool] += 1
    assert log_evidence(seen, baseline) == pytest.approx(ratio, abs=1e-9)


def test_the_order_of_calls_is_no_evidence() -> None:
    baseline = World(30).baseline
    counts = usual_counts(30, 50, seed=4)
    assert log_evidence(counts, baseline) == log_evidence(dict(reversed(counts.items())), baseline)


def test_over_the_next_call_the_evidence_is_a_martingale_of_the_baseline() -> None:
    baseline = World(5).baseline
    counts = {"read": 7, "mail": 2}
    weights = baseline.weights
    chances = [
        (counts.get(tool, 0) + weight) / (9 + sum(weights))
        for tool, weight in zip((*TOOLS, "another"), weights, strict=True)
    ]
    now = math.exp(log_evidence(counts, baseline))
    later = sum(
        chance * math.exp(log_evidence(Counter(counts) + Counter([tool]), baseline))
        for tool, chance in zip((*TOOLS, "another"), chances, strict=True)
    )
    assert later == pytest.approx(now, rel=1e-9)


def test_tools_that_the_baseline_does_not_name_are_one_bucket() -> None:
    baseline = World(30).baseline
    assert log_evidence({"x": 2, "y": 3}, baseline) == log_evidence({"z": 5}, baseline)


@pytest.mark.parametrize("sessions", [0, 1, MIN_SESSIONS - 1])
def test_too_few_sessions_make_no_baseline(sessions: int) -> None:
    assert fit(TOOLS, [{"read": 5}] * sessions + [{}] * 100) is None


def test_frequencies_are_positive_and_sum_to_one() -> None:
    baseline = World(30).baseline
    assert min(baseline.frequencies) > 0
    assert sum(baseline.frequencies) == pytest.approx(1)
    assert len(baseline.frequencies) == len(TOOLS) + 1


def test_a_tool_that_no_session_used_weighs_as_if_each_had_called_it_once() -> None:
    baseline = fit(("read", "purge"), [{"read": 9}] * 30)
    assert baseline is not None
    assert baseline.frequencies == pytest.approx((270 / 330, 30 / 330, 30 / 330))


@pytest.mark.parametrize("concentration", [5.0, 30.0])
def test_the_concentration_is_found_again(concentration: float) -> None:
    found = World(concentration).fitted(400).concentration
    assert concentration / 2 < found < concentration * 1.5
