"""The evidence of drift: its formula, and what it does over thousands of simulated sessions."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from scopebound_engine.session.drift import Baseline, log_evidence
from scopebound_engine.session.drift_fit import MIN_SESSIONS, fit

TOOLS = ("read", "list", "search", "mail", "count", "sum", "print", "export", "share", "purge")
# As agents work: some tools all the time, some rarely, the last one never so far.
TRUTH = np.array([0.5, 0.25, 0.12, 0.07, 0.03, 0.01, 0.008, 0.006, 0.006, 0.0])
THRESHOLD = math.log(1 / 0.001)
MIN_CALLS = 10
SEED = 20_261


def drawn(
    rng: np.random.Generator, concentration: float, sessions: int, calls: int
) -> list[list[str]]:
    """The tools that sessions of one role call, each session in its own way."""
    made = []
    for _ in range(sessions):
        habit = TRUTH
        if math.isfinite(concentration):
            used = rng.dirichlet(concentration * TRUTH[TRUTH > 0])
            habit = np.concatenate([used, [0.0]])
        made.append([TOOLS[index] for index in rng.choice(len(TOOLS), size=calls, p=habit)])
    return made


def fitted(concentration: float, seed: int = SEED, sessions: int = 50) -> Baseline:
    rng = np.random.default_rng(seed)
    baseline = fit(TOOLS, [Counter(calls) for calls in drawn(rng, concentration, sessions, 100)])
    assert baseline is not None
    return baseline


def first_alarm(calls: Sequence[str], baseline: Baseline) -> int | None:
    """At which call, from 1, the bundle would deny."""
    counts: Counter[str] = Counter()
    for number, tool in enumerate(calls, 1):
        counts[tool] += 1
        if number >= MIN_CALLS and log_evidence(counts, baseline) >= THRESHOLD:
            return number
    return None


def test_before_the_first_call_there_is_no_evidence() -> None:
    assert log_evidence({}, fitted(30)) == 0.0


def test_the_closed_form_equals_the_product_over_the_calls_one_by_one() -> None:
    baseline = fitted(30)
    calls = drawn(np.random.default_rng(3), 30, 1, 200)[0]
    seen: Counter[str] = Counter()
    ratio = 0.0
    weights = dict(zip(TOOLS, baseline.weights, strict=False))
    for tool in calls:
        before = sum(seen.values())
        anything = (seen[tool] + 0.5) / (before + 0.5 * (len(TOOLS) + 1))
        expected = (seen[tool] + weights[tool]) / (before + sum(baseline.weights))
        ratio += math.log(anything) - math.log(expected)
        seen[tool] += 1
    assert log_evidence(seen, baseline) == pytest.approx(ratio, abs=1e-9)


def test_the_order_of_calls_is_no_evidence() -> None:
    baseline = fitted(30)
    counts = Counter(drawn(np.random.default_rng(4), 30, 1, 50)[0])
    assert log_evidence(counts, baseline) == log_evidence(dict(reversed(counts.items())), baseline)


def test_over_the_next_call_the_evidence_is_a_martingale_of_the_baseline() -> None:
    baseline = fitted(5)
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
    baseline = fitted(30)
    assert log_evidence({"x": 2, "y": 3}, baseline) == log_evidence({"z": 5}, baseline)


@pytest.mark.parametrize("sessions", [0, 1, MIN_SESSIONS - 1])
def test_too_few_sessions_make_no_baseline(sessions: int) -> None:
    assert fit(TOOLS, [{"read": 5}] * sessions + [{}] * 100) is None


def test_frequencies_are_positive_and_sum_to_one() -> None:
    baseline = fitted(30)
    assert min(baseline.frequencies) > 0
    assert sum(baseline.frequencies) == pytest.approx(1)
    assert len(baseline.frequencies) == len(TOOLS) + 1


@pytest.mark.parametrize("concentration", [5.0, 30.0])
def test_the_concentration_is_found_again(concentration: float) -> None:
    found = fitted(concentration, sessions=400).concentration
    assert concentration / 2 < found < concentration * 1.5


@pytest.mark.parametrize("concentration", [5.0, 30.0, math.inf])
def test_sessions_of_the_baseline_hardly_ever_alarm_and_others_do_soon(
    concentration: float, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = fitted(concentration)
    rng = np.random.default_rng(SEED + 1)
    sessions = 2_000
    alarms = sum(
        first_alarm(calls, baseline) is not None
        for calls in drawn(rng, concentration, sessions, 300)
    )
    rare = [first_alarm(rng.choice(["export", "purge"], size=300), baseline) for _ in range(51)]
    flat = [first_alarm(rng.choice(TOOLS, size=300), baseline) for _ in range(51)]
    delays = [float(np.median([alarm or math.inf for alarm in found])) for found in (rare, flat)]
    with capsys.disabled():
        print(
            f"\nconcentration {concentration:g} (fitted {baseline.concentration:.1f}): "
            f"{alarms} of {sessions} sessions of 300 calls alarmed ({alarms / sessions:.4f}, "
            f"bound 0.0010); median call of the alarm: rare tools {delays[0]:g}, all alike "
            f"{delays[1]:g}"
        )
    # Three standard deviations of a count that is 2 on average.
    assert alarms <= 2 + 3 * math.sqrt(2)
    assert max(delays) <= 25


@pytest.mark.parametrize("concentration", [5.0, 30.0, math.inf])
def test_the_first_uses_of_an_allowed_tool_that_nobody_used_do_not_alarm(
    concentration: float,
) -> None:
    baseline = fitted(concentration)
    rng = np.random.default_rng(SEED + 2)
    sessions = drawn(rng, concentration, 200, 40)
    quiet = [calls for calls in sessions if first_alarm(calls, baseline) is None]
    assert len(quiet) >= 198
    for calls in quiet:
        calls[12] = calls[20] = calls[30] = "purge"
        assert first_alarm(calls, baseline) is None
