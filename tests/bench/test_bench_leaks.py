import random

import pytest

from tests.bench.leaks import Sample, growth

BASE = 300e6


def samples(
    per_call: float = 0, per_activation: float = 0, noise: float = 0, peaks: float = 0
) -> list[Sample]:
    """Ten rounds of 1,000 calls, every other one with 10 activations."""
    chance, found, activations = random.Random(1), [], 0
    for number in range(100):
        activations += number // 10 % 2
        calls = 100 * (number + 1)
        held = BASE + per_call * calls + per_activation * activations
        held += chance.uniform(-noise, noise) + (peaks if chance.random() < 0.2 else 0)
        found.append(Sample(calls, activations, held))
    return found


def test_what_stays_as_it_is_does_not_grow() -> None:
    found = growth(samples())
    assert (found.per_thousand_requests, found.per_activation, found.share) == (0, 0, 0)
    assert found.flat


def test_calls_and_activations_are_told_apart() -> None:
    found = growth(samples(per_call=1000, per_activation=200_000))
    assert found.per_thousand_requests == pytest.approx(1e6)
    assert found.per_activation == pytest.approx(200_000)


def test_noise_and_moments_of_much_memory_do_not_bend_the_slopes() -> None:
    found = growth(samples(per_call=1000, per_activation=200_000, noise=50_000, peaks=100e6))
    assert found.per_thousand_requests == pytest.approx(1e6, rel=0.2)
    assert found.per_activation == pytest.approx(200_000, rel=0.2)
    assert growth(samples(noise=50_000, peaks=100e6)).flat


def test_growth_of_the_second_half_decides() -> None:
    least = 0.05 * BASE / 5000
    assert growth(samples(per_call=0.9 * least)).flat
    assert not growth(samples(per_call=1.2 * least)).flat
    assert not growth(samples(per_activation=0.06 * BASE / 25)).flat


def test_what_fills_at_the_beginning_is_no_growth() -> None:
    filling = [
        Sample(each.requests, each.activations, each.held - max(0, 2000 - each.requests) * 50_000)
        for each in samples()
    ]
    assert growth(filling).per_thousand_requests == 0


def test_too_few_samples_say_so() -> None:
    with pytest.raises(ValueError, match="ask for more requests"):
        growth([Sample(100, 0, BASE)])
