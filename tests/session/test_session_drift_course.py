"""The evidence call by call is that of the closed form; the thresholds are the shipped ones."""

import json
from collections import Counter
from itertools import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopebound_engine.config import SHIPPED as SHIPPED_FILES
from scopebound_engine.session.drift.course import SHIPPED, Thresholds, course, denied_at
from scopebound_engine.session.drift.evidence import Baseline, log_evidence
from scopebound_engine.session.drift.likelihood import MIN_SESSIONS

NAMES = ("a", "b", "c", "others")


def baseline_of(shares: list[int], concentration: float) -> Baseline:
    frequencies = tuple(share / sum(shares) for share in shares)
    return Baseline(NAMES[:3], frequencies, concentration, sessions=20, calls=sum(shares))


@settings(deadline=None)
@given(
    shares=st.lists(st.integers(1, 1_000), min_size=4, max_size=4),
    concentration=st.floats(0.1, 1e5),
    calls=st.lists(st.integers(0, 3), max_size=60),
)
def test_each_step_is_the_closed_form_of_the_calls_so_far(
    shares: list[int], concentration: float, calls: list[int]
) -> None:
    baseline = baseline_of(shares, concentration)
    counts: Counter[str] = Counter()
    for call, evidence in zip(calls, course(calls, baseline), strict=True):
        counts[NAMES[call]] += 1
        # Sums of log-gammas of up to 1e5 cancel to this.
        assert evidence == pytest.approx(log_evidence(counts, baseline), abs=1e-7)


def test_no_call_is_denied_before_the_least_number_whatever_the_evidence() -> None:
    assert denied_at(repeat(1_000.0, 9)) is None
    assert denied_at(repeat(1_000.0, 10)) == 10


def test_the_first_call_at_which_the_evidence_is_enough_is_denied() -> None:
    enough = SHIPPED.log_evidence
    assert denied_at([*repeat(0.0, 11), enough - 1e-9, enough, enough]) == 13
    assert denied_at([*repeat(enough, 9), *repeat(0.0, 50)]) is None
    assert denied_at([0.0, 2.4, 2.3], Thresholds(alpha=0.1, min_calls=3)) is None
    assert denied_at([0.0, 2.4, 2.31], Thresholds(alpha=0.1, min_calls=3)) == 3


def test_thresholds_are_those_of_the_shipped_bundle() -> None:
    data = (SHIPPED_FILES / "policies/scopebound/config/data.json").read_text()
    assert json.loads(data)["drift"] == {
        "alpha": SHIPPED.alpha,
        "log_evidence": SHIPPED.log_evidence,
        "min_calls": SHIPPED.min_calls,
        "min_baseline_sessions": MIN_SESSIONS,
    }
