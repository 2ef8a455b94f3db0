"""What one decision takes, asked again and again by one who waits for each."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.figures import percentile

_WARM_UP = 20


@dataclass(frozen=True)
class Figures:
    """Microseconds of a decision: of the processor, and until it was there."""

    answer: str | None
    decisions: int
    cpu_us: float
    p50_us: float
    p99_us: float


def measured(
    decide: Callable[[], str | None], spent: Callable[[], float], seconds: float
) -> Figures:
    """The figures of `decide`; `spent` is the processor time, in seconds, of all that takes part.

    Half of the time goes to each: a clock that is read for each decision takes as long as the
    cheapest of them.
    """
    for _ in range(_WARM_UP):
        answer = decide()
    number, cpu = _processor(decide, spent, seconds / 2)
    taken = sorted(_latencies(decide, seconds / 2))
    return Figures(
        answer, number, cpu * 1e6, percentile(taken, 0.5) / 1000, percentile(taken, 0.99) / 1000
    )


def middle(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure over some rounds, whose answers must be one."""
    [answer] = {each.answer for each in rounds}

    def of(figure: Callable[[Figures], float]) -> float:
        return statistics.median(map(figure, rounds))

    return Figures(
        answer,
        sum(each.decisions for each in rounds),
        of(lambda each: each.cpu_us),
        of(lambda each: each.p50_us),
        of(lambda each: each.p99_us),
    )


def _processor(
    decide: Callable[[], str | None], spent: Callable[[], float], seconds: float
) -> tuple[int, float]:
    number, before, until = 0, spent(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        for _ in range(10):
            decide()
        number += 10
    return number, (spent() - before) / number


def _latencies(decide: Callable[[], str | None], seconds: float) -> list[int]:
    """In nanoseconds."""
    taken, clock = [], time.perf_counter_ns
    until = clock() + int(seconds * 1e9)
    while (began := clock()) < until:
        decide()
        taken.append(clock() - began)
    return taken
