"""What is made of measured numbers: percentiles, and how a cost grows with what it is paid for."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

# Above it growth counts as more than linear: a tenth is what repeated runs differ by.
LINEAR = 1.1


class Summary(NamedTuple):
    """What a load found: answers a second, and latencies in milliseconds."""

    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float


class Growth(NamedTuple):
    """Exponents of a power law: that of the best fit, and that of the steepest step."""

    fitted: float
    steepest: float

    @property
    def linear(self) -> bool:
        """Whether the cost grows at most linearly, in every step."""
        return self.steepest <= LINEAR


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that so large a share of all does not exceed (the nearest rank).

    Raises ValueError where there is none.
    """
    if not ordered:
        raise ValueError("no call was answered; look at the server's log")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(latencies: Sequence[float], seconds: float) -> Summary:
    """Latencies, in seconds, of all calls that were answered in so many seconds."""
    ordered = sorted(latencies)
    at = [percentile(ordered, share) * 1000 for share in (0.5, 0.9, 0.99, 0.999, 1.0)]
    return Summary(len(ordered) / seconds, *at)


def growth(points: Sequence[tuple[float, float]]) -> Growth:
    """How the second of each pair grows with the first: slopes on logarithmic scales.

    The fit is by least squares. Raises ValueError for fewer than two different points.
    """
    logs = sorted((math.log(size), math.log(cost)) for size, cost in points)
    if len({size for size, _ in logs}) < 2:
        raise ValueError("growth takes points of two sizes at least")
    mean_size, mean_cost = (sum(part) / len(logs) for part in zip(*logs, strict=True))
    spread = sum((size - mean_size) ** 2 for size, _ in logs)
    together = sum((size - mean_size) * (cost - mean_cost) for size, cost in logs)
    steps = [
        (cost - less) / (size - smaller)
        for (smaller, less), (size, cost) in pairwise(logs)
        if size > smaller
    ]
    return Growth(together / spread, max(steps))
