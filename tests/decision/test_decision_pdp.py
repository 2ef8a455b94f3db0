"""The decision point: refusals without a policy, which bundle decides, what comes of a session."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from scopebound_engine.bundle.matchers import EMPTY
from scopebound_engine.decision.active import ActiveBundle, BundleRef, Loaded
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import (
    Decision,
    DecisionPoint,
    jwt_invalid,
    policy_error,
    request_invalid,
)
from scopebound_engine.errors import EvaluationError, StateUnavailableError
from scopebound_engine.session.drift.evidence import Baseline
from scopebound_engine.session.state.seam import UNLIMITED, Entry, SessionFacts
from scopebound_engine.verdict import Verdict, Violation
from tests.decision.sessions import Baselines, Latches, State
from tests.decision.small_bundles import packed, verified
from tests.session.hostile_tokens import Forger
from tests.signing import AUDIENCE, ISSUER, KEY_ID, signing_key, tokens


def soon(seconds: float = 0.05) -> float:
    return time.monotonic() + seconds


@pytest.mark.parametrize(
    ("refusal", "code", "severity", "guidance"),
    [
        (jwt_invalid, "JWT_INVALID", "high", "reprovision"),
        (request_invalid, "REQUEST_INVALID", "high", "change_args"),
        (policy_error, "POLICY_ERROR", "critical", "none"),
    ],
)
def test_the_engines_own_refusals_are_denials(
    refusal: object, code: str, severity: str, guidance: str
) -> None:
    assert callable(refusal)
    decision = refusal("because")
    assert decision.bundle is None
    assert not decision.verdict.allow
    [violation] = decision.verdict.violations
    assert (violation.code, violation.severity) == (code, severity)
    assert violation.retry_guidance == guidance
    assert "because" in violation.reason


def test_no_verdict_allows_with_violations_or_denies_without() -> None:
    violation = Violation("X_Y", "low", "r", "none")
    with pytest.raises(ValueError, match="no violations"):
        Verdict(allow=True, violations=(violation,))
    with pytest.raises(ValueError, match="at least one"):
        Verdict(allow=False, violations=())


class Shelf:
    """Bundles, handed out in order; what is asked for is noted."""

    def __init__(self, *bundles: Loaded) -> None:
        self.bundles, self.asked = list(bundles), list[tuple[int, float]]()

    def at_least(self, generation: int, deadline: float) -> Loaded:
        self.asked.append((generation, deadline))
        if not self.bundles:
            raise EvaluationError("there are no more")
        return self.bundles.pop(0)


def loaded(active: ActiveBundle, version: str, generation: int) -> Loaded:
    bundle = verified(packed(version))
    active.prepare(bundle)
    active.promote(BundleRef(version, version, bundle.checksum, generation))
    assert active.current is not None
    return active.current


@pytest.fixture(scope="module")
def former() -> Loaded:
    """A bundle that was let go of."""
    active = ActiveBundle(evaluators=1, evaluation_seconds=0.25)
    made = loaded(active, "1.0.0", 7)
    active.close()
    return made


@pytest.fixture(scope="module")
def current() -> Iterator[Loaded]:
    active = ActiveBundle(evaluators=1, evaluation_seconds=0.25)
    yield loaded(active, "2.0.0", 8)
    active.close()


CALL = Call("tool_call", "read", {}, "call-1")


def decide(
    shelf: "Shelf | Saying",
    deadline: float,
    state: State | None = None,
    *,
    call: Call = CALL,
    baselines: Baselines | None = None,
    latches: Latches | None = None,
) -> Decision:
    point = DecisionPoint(
        tokens(time.time),
        state or State(),
        shelf,
        baselines or Baselines(),
        latches or Latches(),
        clock=time.time,
    )
    genuine = Forger(KEY_ID, signing_key(), int(time.time()), ISSUER, AUDIENCE).claims()
    return point.decide(call, tokens(time.time).sign(genuine), deadline)


def test_the_bundle_of_the_generation_that_the_call_found_decides(current: Loaded) -> None:
    shelf, deadline = Shelf(current), soon(5)
    decision = decide(shelf, deadline)
    assert shelf.asked == [(7, deadline)]
    assert decision.verdict.violations[0].reason == "2.0.0"
    assert decision.bundle == current.ref


def test_a_call_whose_bundle_was_let_go_of_is_decided_by_the_one_after_it(
    former: Loaded, current: Loaded
) -> None:
    shelf, deadline = Shelf(former, current), soon(5)
    decision = decide(shelf, deadline)
    assert shelf.asked == [(7, deadline), (7, deadline)]
    assert decision.verdict.violations[0].reason == "2.0.0"
    assert decision.bundle == current.ref


def test_that_is_tried_once(former: Loaded, current: Loaded) -> None:
    shelf = Shelf(former, former, current)
    decision = decide(shelf, soon(5))
    assert decision.verdict.violations[0].code == "POLICY_ERROR"
    assert len(shelf.bundles) == 1


def test_without_the_bundle_the_call_is_denied_for_that_reason() -> None:
    decision = decide(Shelf(), soon(5))
    assert decision.bundle is None
    [violation] = decision.verdict.violations
    assert (violation.code, violation.reason) == ("POLICY_ERROR", "there are no more")


class Saying:
    """A bundle that always says the same, and remembers what it was asked about."""

    def __init__(self, *codes: str) -> None:
        violations = tuple(Violation(code, "high", "because", "none") for code in codes)
        self.verdict, self.facts = Verdict(not codes, violations), list[Mapping[str, Any]]()

    def at_least(self, generation: int, deadline: float) -> Loaded:
        return Loaded(BundleRef("b", "1", "c", generation), "k", self, EMPTY)  # type: ignore[arg-type]

    def evaluate(self, facts: Mapping[str, Any], deadline: float) -> Verdict:
        self.facts.append(facts)
        return self.verdict


def test_a_decision_tells_how_the_call_entered_and_what_it_found() -> None:
    state = State()
    decision = decide(Saying(), soon(5), state)
    assert decision.verdict.allow
    assert decision.entry == state.entries[0] == Entry("s", "i", 0, 0, slots=2)
    assert decision.session == SessionFacts(UNLIMITED, UNLIMITED, generation=7, counts=(0, 0))
    assert state.uncounted == []


def test_a_denied_call_is_uncounted_and_the_denial_stands_where_that_fails() -> None:
    for fault, uncounted in ((None, [("s", 0)]), (StateUnavailableError("away"), [])):
        state = State()
        state.fault = fault
        decision = decide(Saying("X_Y"), soon(5), state)
        assert [violation.code for violation in decision.verdict.violations] == ["X_Y"]
        assert state.uncounted == uncounted


def test_to_be_undecided_is_a_denial_too() -> None:
    state = State()
    decision = decide(Shelf(), soon(5), state)
    assert decision.verdict.violations[0].code == "POLICY_ERROR"
    assert state.uncounted == [("s", 0)]
    assert decision.session is not None


def test_a_denial_for_drift_latches_its_session() -> None:
    latches = Latches()
    decide(Saying("BEHAVIORAL_DRIFT"), soon(5), latches=latches)
    assert latches.latched == ["s"]


def test_a_call_id_of_another_call_is_refused_before_the_policy_is_asked() -> None:
    state, policy = State(SessionFacts(UNLIMITED, UNLIMITED, conflict=True)), Saying()
    decision = decide(policy, soon(5), state, call=Call("tool_call", "read", {}, 'a"b', None, True))
    [violation] = decision.verdict.violations
    assert (violation.code, violation.retry_guidance) == ("REQUEST_INVALID", "change_args")
    assert violation.reason.startswith(r'call_id "a\"b" was given to another call within')
    assert "30 s" in violation.reason
    assert policy.facts == state.uncounted == []


def test_the_baseline_that_the_session_pinned_is_what_its_calls_are_held_against() -> None:
    baseline = Baseline(("read",), (0.01, 0.99), 30.0, sessions=50, calls=1000)
    found, policy = SessionFacts(UNLIMITED, UNLIMITED, counts=(11, 2), baseline_id=3), Saying()
    decide(policy, soon(5), State(found), baselines=Baselines(b3=baseline))
    drift = policy.facts[0]["session"]["drift"]
    assert (drift["ready"], drift["calls"], drift["baseline_sessions"]) == (True, 14, 50)
    assert drift["log_evidence"] > 10


def test_without_that_baseline_nothing_is_allowed() -> None:
    state = State(SessionFacts(UNLIMITED, UNLIMITED, baseline_id=4))
    decision = decide(Saying(), soon(5), state)
    [violation] = decision.verdict.violations
    assert (violation.code, state.uncounted) == ("POLICY_ERROR", [("s", 0)])
    assert "baseline 4 is gone" in violation.reason
