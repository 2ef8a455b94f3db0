"""The evidence of drift call by call, and the call at which the shipped bundle would deny.

It serves to foresee and to simulate. What decides is in evidence.py, which is the same,
and the thresholds of the bundle in force, which may be others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import log
from typing import Final

from scopebound_engine.session.drift.evidence import ANYTHING, Baseline


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a bundle denies: `alpha` is the probability that it ever does so wrongly."""

    alpha: float
    min_calls: int

    @property
    def log_evidence(self) -> float:
        """The evidence that is enough."""
        return log(1 / self.alpha)


# As in policies/scopebound/config/data.json; likelihood.py has the least number of sessions.
SHIPPED: Final = Thresholds(alpha=0.001, min_calls=10)


def course(calls: Iterable[int], baseline: Baseline) -> Iterator[float]:
    """The log evidence after each call; a call is its tool's place in the baseline's frequencies.

    A Dirichlet-multinomial expects the next call by the weights and the calls so far (Pólya's urn),
    so that each call adds the logarithm of a ratio of two such expectations.
    """
    weights = baseline.weights
    total, anything = sum(weights), ANYTHING * len(weights)
    counts = [0] * len(weights)
    evidence = 0.0
    for made, tool in enumerate(calls):
        expected = (counts[tool] + weights[tool]) / (made + total)
        evidence += log((counts[tool] + ANYTHING) / (made + anything) / expected)
        counts[tool] += 1
        yield evidence


def denied_at(evidences: Iterable[float], thresholds: Thresholds = SHIPPED) -> int | None:
    """The number, from 1, of the first call that would be denied; None where none is."""
    enough = thresholds.log_evidence
    for call, evidence in enumerate(evidences, 1):
        if call >= thresholds.min_calls and evidence >= enough:
            return call
    return None
