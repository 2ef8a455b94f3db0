"""Percentiles and growth: pure functions of numbers."""

import random

import pytest

from tests.bench.figures import growth, percentile, summary


@pytest.mark.parametrize(
    ("share", "found"), [(0.5, 50), (0.9, 90), (0.99, 99), (0.999, 100), (1.0, 100), (0.0, 1)]
)
def test_a_percentile_is_the_nearest_rank(share: float, found: float) -> None:
    assert percentile(range(1, 101), share) == found


def test_a_percentile_of_one_is_that_one() -> None:
    assert percentile([7.0], 0.5) == percentile([7.0], 0.999) == 7.0


def test_without_an_answer_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no call was answered"):
        percentile([], 0.5)


def test_a_summary_is_in_milliseconds_whatever_the_order() -> None:
    latencies = [number / 1000 for number in range(1, 1001)]
    random.Random(1).shuffle(latencies)
    found = summary(latencies, seconds=4)
    assert found == pytest.approx((250, 500, 900, 990, 999, 1000))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_a_power_law_is_found_with_its_exponent(exponent: float) -> None:
    found = growth([(size, 3 * size**exponent) for size in (9, 50, 150)])
    assert found == pytest.approx((exponent, exponent))
    assert found.linear == (exponent <= 1)


def test_one_steep_step_is_more_than_linear_though_the_fit_is_not() -> None:
    found = growth([(10, 100.0), (100, 100.0), (1_000, 100.0), (10_000, 3_000.0)])
    assert found.fitted < 1 < found.steepest
    assert not found.linear


def test_what_is_paid_once_hides_no_growth_of_the_last_step() -> None:
    # A fixed part, and one that grows with the square.
    found = growth([(size, 1_000 + size**2) for size in (3, 30, 300)])
    assert found.steepest > 1.5


def test_growth_takes_two_sizes() -> None:
    with pytest.raises(ValueError, match="two sizes"):
        growth([(3, 1.0), (3, 2.0)])
