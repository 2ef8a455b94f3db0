"""Whether memory grows: robust slopes over samples, after Theil and Sen.

The slope is the median of the slopes of all pairs of samples
(https://en.wikipedia.org/wiki/Theil-Sen_estimator): a sample that was taken while something passing
held memory does not bend it. Requests and activations are told apart by stretches without any
activation: what grows there is the requests' doing, and what is left over that of activations.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

# Of what is held when the second half begins. Half a million requests that leak 45 bytes each, or
# a hundred activations that leave 225 kB each, are more than this share of the usual 450 MB.
MOST_GROWTH = 0.05
# So much of the run, at its beginning, fills caches and says nothing.
WARM_UP = 0.25
# Pairs nearer to one another than this share of the widest pair say more of noise than of growth.
_LEVER = 0.3


@dataclass(frozen=True)
class Sample:
    """Bytes held after so many requests and activations."""

    requests: int
    activations: int
    held: float


@dataclass(frozen=True)
class Growth:
    """Bytes for each 1,000 requests and for each activation, and the second half's growth.

    `share` is that growth over what was held at the beginning of that half.
    """

    per_thousand_requests: float
    per_activation: float
    share: float

    @property
    def flat(self) -> bool:
        """Whether the growth of the second half is below MOST_GROWTH."""
        return self.share < MOST_GROWTH


def growth(samples: Sequence[Sample]) -> Growth:
    """How what is held grows. Raises ValueError where there are too few samples to say so."""
    last = samples[-1].requests
    warm = [sample for sample in samples if sample.requests >= WARM_UP * last]
    late = [sample for sample in samples if sample.requests >= last / 2]
    request = _slope(warm, _requests, _held, alike=_activations)
    activation = _slope(warm, _activations, lambda sample: sample.held - request * sample.requests)
    span = late[-1].requests - late[0].requests
    base = statistics.median(sample.held for sample in late[: max(1, len(late) // 4)])
    return Growth(1000 * request, activation, span * _slope(late, _requests, _held) / base)


def _requests(sample: Sample) -> float:
    return sample.requests


def _activations(sample: Sample) -> float:
    return sample.activations


def _held(sample: Sample) -> float:
    return sample.held


def _slope(
    samples: Iterable[Sample],
    along: Callable[[Sample], float],
    height: Callable[[Sample], float],
    alike: Callable[[Sample], float] = lambda _: 0,
) -> float:
    """The median slope of all pairs that are `alike` and far enough from one another."""
    pairs = [(one, two) for one, two in combinations(samples, 2) if alike(one) == alike(two)]
    widest = max((along(two) - along(one) for one, two in pairs), default=0)
    if widest <= 0:
        raise ValueError("too few samples to tell a slope; ask for more requests")
    return statistics.median(
        (height(two) - height(one)) / (along(two) - along(one))
        for one, two in pairs
        if along(two) - along(one) >= _LEVER * widest
    )
