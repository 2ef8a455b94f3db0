"""What the test of drift does over thousands of simulated sessions, at every call of each."""

import math

import numpy as np
import pytest

from scopebound_engine.session.drift.course import SHIPPED, denied_at
from scopebound_engine.session.drift.evidence import log_evidence
from scopebound_engine.session.drift.likelihood import MIN_SESSIONS
from scopebound_engine.session.drift.simulation import (
    CALLS,
    CONCENTRATIONS,
    SEED,
    SESSIONS,
    TOOLS,
    World,
    simulate,
)


@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_usual_sessions_hardly_ever_alarm_and_others_do_soon(
    concentration: float, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = simulate(concentration)
    with capsys.disabled():
        print(
            f"\nconcentration {concentration:g} (fitted {outcome.baseline.concentration:.1f}): "
            f"{outcome.alarms} of {SESSIONS} sessions of {CALLS} calls alarmed at any of them "
            f"({outcome.alarm_rate:.4f}, bound {SHIPPED.alpha:.4f}); median call of proof and "
            f"of denial: rare tools {outcome.rare.proven:g} and {outcome.rare.denied:g}, "
            f"all alike {outcome.flat.proven:g} and {outcome.flat.denied:g}"
        )
    assert (SESSIONS, CALLS) >= (2_000, 300)
    expected = SHIPPED.alpha * SESSIONS
    assert outcome.alarms <= expected + 3 * math.sqrt(expected)
    assert outcome.rare.proven < outcome.flat.proven
    assert max(outcome.rare.denied, outcome.flat.denied) <= 25


@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_so_it_is_with_the_fewest_sessions_that_make_a_baseline(concentration: float) -> None:
    alarms, sessions = 0, 2_000
    for seed in range(4):
        world = World(concentration, seed)
        world.baseline = world.fitted(MIN_SESSIONS)
        evidences = (world.evidence(world.usual()) for _ in range(sessions // 4))
        alarms += sum(denied_at(evidence) is not None for evidence in evidences)
    assert alarms <= 2 + 3 * math.sqrt(2)


@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_evidence_is_that_which_a_policy_is_told(concentration: float) -> None:
    world = World(concentration)
    for calls in (world.usual(), world.rare(), world.flat()):
        counts = dict(zip(TOOLS, np.bincount(calls, minlength=len(TOOLS)).tolist(), strict=True))
        assert world.evidence(calls)[-1] == pytest.approx(
            log_evidence(counts, world.baseline), abs=1e-7
        )


@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_the_first_uses_of_an_allowed_tool_that_nobody_used_do_not_alarm(
    concentration: float,
) -> None:
    world = World(concentration)
    sessions = [world.usual(40) for _ in range(200)]
    quiet = [calls for calls in sessions if denied_at(world.evidence(calls)) is None]
    assert len(quiet) >= 198
    for calls in quiet:
        assert TOOLS.index("purge") not in calls
        calls[[12, 20, 30]] = TOOLS.index("purge")
        assert denied_at(world.evidence(calls)) is None


def test_the_same_seed_is_the_same_world() -> None:
    assert World(30, SEED).baseline == World(30, SEED).baseline
    assert World(30, SEED).baseline != World(30, SEED + 1).baseline
