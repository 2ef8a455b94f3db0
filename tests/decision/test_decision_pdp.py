"""The decision point's own parts: slots, refusals without a policy, and which bundle decides."""

import threading
import time
from collections.abc import Iterator

import pytest

from scopebound_engine.decision.active import ActiveBundle, BundleRef, Loaded
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import (
    Decision,
    DecisionPoint,
    SessionSlots,
    jwt_invalid,
    policy_error,
    request_invalid,
)
from scopebound_engine.decision.verdict import Verdict, Violation
from scopebound_engine.errors import EvaluationError, OverloadError
from scopebound_engine.session.state import UNLIMITED, Entry, SessionFacts
from tests.decision.small_bundles import packed, verified
from tests.session.hostile_tokens import Forger
from tests.signing import AUDIENCE, ISSUER, KEY_ID, signing_key, tokens


def soon(seconds: float = 0.05) -> float:
    return time.monotonic() + seconds


def test_a_session_has_two_slots_and_the_third_call_is_told() -> None:
    slots = SessionSlots(2, 8)
    with slots.take("s", soon()), slots.take("s", soon()):
        started = time.monotonic()
        with pytest.raises(OverloadError, match="send fewer"), slots.take("s", soon()):
            pytest.fail("a third slot was given")
        assert time.monotonic() - started >= 0.05
    with slots.take("s", soon()):
        pass


def test_beyond_those_who_may_wait_a_call_is_shed_at_once() -> None:
    slots, waiting = SessionSlots(1, 1), threading.Event()

    def wait() -> None:
        waiting.set()
        with slots.take("s", soon(5)):
            pass

    with slots.take("s", soon()):
        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        time.sleep(0.05)
        started = time.monotonic()
        with pytest.raises(OverloadError, match="already waiting"), slots.take("s", soon(5)):
            pytest.fail("one more was let in")
        assert time.monotonic() - started < 1
    thread.join()


def test_sessions_do_not_wait_for_each_other() -> None:
    slots = SessionSlots(1, 8)
    with slots.take("a", soon()), slots.take("b", soon()):
        pass


def test_a_freed_slot_is_given_to_who_waits() -> None:
    slots, taken = SessionSlots(1, 8), threading.Event()

    def wait() -> None:
        with slots.take("s", soon(5)):
            taken.set()

    with slots.take("s", soon()):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not taken.wait(0.05)
    assert taken.wait(2)
    waiting.join()


def test_a_slot_is_freed_when_its_call_fails() -> None:
    slots = SessionSlots(1, 8)
    with pytest.raises(ZeroDivisionError), slots.take("s", soon()):
        raise ZeroDivisionError
    with slots.take("s", soon()):
        pass


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


class State:
    """Session state without limits, at a generation."""

    generation = 7

    def open(self, session_id: str, per_minute: int, per_hour: int, expires_at: int) -> None:
        """Nothing to open."""

    def enter(self, entry: Entry) -> SessionFacts:
        return SessionFacts(UNLIMITED, UNLIMITED, generation=self.generation)

    def close(self) -> None:
        """Nothing to let go of."""


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


def decide(shelf: Shelf, deadline: float) -> Decision:
    point = DecisionPoint(tokens(time.time), State(), shelf, clock=time.time)
    genuine = Forger(KEY_ID, signing_key(), int(time.time()), ISSUER, AUDIENCE).claims()
    token = tokens(time.time).sign(genuine)
    return point.decide(Call("tool_call", "read", {}, "call-1"), token, deadline)


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
