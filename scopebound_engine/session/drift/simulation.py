"""Sessions of an invented role: how rarely the shipped thresholds err, and how soon they notice."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scopebound_engine.session.drift.course import SHIPPED, course, denied_at
from scopebound_engine.session.drift.evidence import Baseline
from scopebound_engine.session.drift.likelihood import fit

TOOLS: Final = (
    *("read", "list", "search", "mail", "count"),
    *("sum", "print", "export", "share", "purge"),
)
# As agents work: some tools all the time, some rarely, the last one never so far.
SHARES: Final = np.array([0.5, 0.25, 0.12, 0.07, 0.03, 0.01, 0.008, 0.006, 0.006, 0.0])
RARE: Final = (TOOLS.index("export"), TOOLS.index("share"))
# How alike sessions are: hardly, as is usual, drawn from one and the same urn.
CONCENTRATIONS: Final = (5.0, 30.0, math.inf)
SEED: Final = 20_261
BASELINE_SESSIONS: Final = 50
CALLS_OF_BASELINE: Final = 100
SESSIONS: Final = 2_000
CALLS: Final = 300
DEVIATING_SESSIONS: Final = 101
_EVIDENCE_ALONE: Final = replace(SHIPPED, min_calls=1)

Calls = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Delay:
    """Medians of sessions: the call that makes the evidence enough, and the one that is denied.

    They differ because the first calls of a session are never denied.
    """

    proven: float
    denied: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of `SESSIONS` usual sessions of `CALLS` calls, and of deviating ones."""

    concentration: float
    baseline: Baseline
    alarms: int
    rare: Delay
    flat: Delay

    @property
    def alarm_rate(self) -> float:
        """How many usual sessions were denied at any of their calls, as a share."""
        return self.alarms / SESSIONS


class World:
    """The role with one concentration: a baseline fitted to some sessions, and more of them."""

    def __init__(self, concentration: float, seed: int = SEED) -> None:
        self.concentration = concentration
        self._rng = np.random.default_rng(seed)
        self.baseline = self.fitted(BASELINE_SESSIONS)

    def fitted(self, sessions: int) -> Baseline:
        """The baseline of so many new sessions. Raises ValueError for too few."""
        past = [self.usual(CALLS_OF_BASELINE) for _ in range(sessions)]
        counts = [dict(zip(TOOLS, np.bincount(calls).tolist(), strict=False)) for calls in past]
        baseline = fit(TOOLS, counts)
        if baseline is None:
            raise ValueError(f"{sessions} sessions are too few for a baseline")
        return baseline

    def usual(self, calls: int = CALLS) -> Calls:
        """A session in its own way, which is the nearer to that of all the more they are alike."""
        shares = SHARES
        if math.isfinite(self.concentration):
            used = SHARES > 0
            shares = np.zeros(len(TOOLS))
            shares[used] = self._rng.dirichlet(self.concentration * SHARES[used])
        return self._rng.choice(len(TOOLS), size=calls, p=shares)

    def rare(self, calls: int = CALLS) -> Calls:
        """A session that uses two rare tools only."""
        return self._rng.choice(RARE, size=calls)

    def flat(self, calls: int = CALLS) -> Calls:
        """A session that uses all tools alike."""
        return self._rng.choice(len(TOOLS), size=calls)

    def evidence(self, calls: Calls) -> list[float]:
        """The log evidence after each call."""
        return list(course(calls.tolist(), self.baseline))


def simulate(concentration: float, seed: int = SEED) -> Outcome:
    """How sessions fare whose concentration is this. Takes a second or two."""
    world = World(concentration, seed)
    usual = (world.evidence(world.usual()) for _ in range(SESSIONS))
    return Outcome(
        concentration=concentration,
        baseline=world.baseline,
        alarms=sum(denied_at(evidence) is not None for evidence in usual),
        rare=_delay([world.evidence(world.rare()) for _ in range(DEVIATING_SESSIONS)]),
        flat=_delay([world.evidence(world.flat()) for _ in range(DEVIATING_SESSIONS)]),
    )


def _delay(sessions: Iterable[list[float]]) -> Delay:
    evidences = list(sessions)
    proven = median(denied_at(each, _EVIDENCE_ALONE) or math.inf for each in evidences)
    return Delay(proven, median(denied_at(each) or math.inf for each in evidences))
