"""Whether a session's tool calls still fit its role's baseline: a test that holds at every moment.

The evidence is `log DM(n | ½,…,½) - log DM(n | c·p)`, where n counts the session's calls by tool, p
are the baseline's frequencies, c is its concentration, and DM is the Dirichlet-multinomial
probability of a sequence of calls (https://en.wikipedia.org/wiki/Dirichlet-multinomial_distribution;
without the multinomial coefficient, which both sides share). While the session follows the
baseline, the evidence's exponential is a non-negative martingale of mean 1, so the probability that
it ever reaches 1/alpha is at most alpha (Ville's inequality), however often one looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lgamma
from typing import Final

# Jeffreys' prior: what a session is compared with may be anything.
ANYTHING: Final = 0.5
# More would be noise: the engine computes with 15 digits in all.
_EVIDENCE_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Baseline:
    """What sessions of a role did.

    `frequencies` has one for each of `tools` and at last that of all other tools, positive, with
    the sum 1. `concentration` says how alike sessions are: it is small where each goes its own way.
    `sessions` and `calls` are what it was fitted from.
    """

    tools: tuple[str, ...]
    frequencies: tuple[float, ...]
    concentration: float
    sessions: int
    calls: int

    @property
    def weights(self) -> tuple[float, ...]:
        """The Dirichlet's parameters, c·p."""
        return tuple(self.concentration * frequency for frequency in self.frequencies)


@dataclass(frozen=True, slots=True)
class Drift:
    """What a policy is told: `ready` where there is a baseline, `latched` once it denied for drift.

    `calls` are those that the evidence is of, `baseline_sessions` those that the baseline is of.
    """

    ready: bool
    log_evidence: float
    latched: bool
    calls: int
    baseline_sessions: int


def judge(counts: Mapping[str, int], baseline: Baseline | None, *, latched: bool) -> Drift:
    """How far the calls of a session, by tool, speak against the baseline that it pinned."""
    calls = sum(counts.values())
    if baseline is None:
        return Drift(False, 0.0, latched, calls, 0)
    # There is but one zero in JSON as it is spelled here: -0.0 is none.
    evidence = round(log_evidence(counts, baseline), _EVIDENCE_DIGITS) or 0.0
    return Drift(True, evidence, latched, calls, baseline.sessions)


def folded(tools: Sequence[str], counts: Mapping[str, int]) -> list[int]:
    """Calls by tool in the order of `tools`, and at last those of all other tools together."""
    named = [counts.get(tool, 0) for tool in tools]
    return [*named, sum(counts.values()) - sum(named)]


def log_evidence(counts: Mapping[str, int], baseline: Baseline) -> float:
    """The natural logarithm of the evidence against the baseline; 0 before the first call."""
    calls = folded(baseline.tools, counts)
    anything = [ANYTHING] * len(calls)
    return _log_probability(calls, anything) - _log_probability(calls, baseline.weights)


def _log_probability(counts: Sequence[int], weights: Sequence[float]) -> float:
    total = sum(weights)
    cells = (
        lgamma(weight + count) - lgamma(weight)
        for count, weight in zip(counts, weights, strict=True)
        if count
    )
    return lgamma(total) - lgamma(total + sum(counts)) + sum(cells)
