"""What a denial does to its session, whatever fails and however long it takes."""

import threading
import time

import pytest
from structlog.testing import capture_logs

from scopebound_engine import logs
from scopebound_engine.decision.denials import DRIFT, Denials
from scopebound_engine.errors import DatabaseUnavailableError, StateUnavailableError
from scopebound_engine.session.state.seam import UNLIMITED, Entry, SessionFacts
from scopebound_engine.verdict import Verdict, Violation
from tests.batons import holding_the_baton
from tests.decision.sessions import Latches, State

ENTRY = Entry("s", "r", 0, 0, slot=2, slots=4)
FOUND = SessionFacts(UNLIMITED, UNLIMITED)


def denied(*codes: str) -> Verdict:
    return Verdict(False, tuple(Violation(code, "high", "because", "none") for code in codes))


def settle(
    verdict: Verdict, session: SessionFacts = FOUND, *, fails: bool = False
) -> tuple[State, Latches]:
    state, latches = State(), Latches()
    if fails:
        state.fault, latches.fault = StateUnavailableError("away"), DatabaseUnavailableError("away")
    Denials(state, latches).settle(ENTRY, session, verdict, time.monotonic() + 5)
    return state, latches


def test_a_denied_call_is_taken_out_of_the_counts_again() -> None:
    state, latches = settle(denied("SCOPE_VIOLATION", "RATE_LIMIT_EXCEEDED"))
    assert state.uncounted == [("s", 2)]
    assert latches.latched == []


def test_an_allowed_call_stays_in_them() -> None:
    state, _ = settle(Verdict(True, ()))
    assert state.uncounted == []


def test_a_denial_for_drift_latches_the_session() -> None:
    state, latches = settle(denied(DRIFT))
    assert latches.latched == ["s"]
    assert state.uncounted == [("s", 2)]


def test_a_call_that_is_denied_for_more_than_drift_latches_nothing() -> None:
    state, latches = settle(denied("SCOPE_VIOLATION", DRIFT))
    assert latches.latched == []
    assert state.uncounted == [("s", 2)]


def test_a_session_that_is_latched_is_not_latched_again() -> None:
    state, latches = settle(denied(DRIFT), SessionFacts(UNLIMITED, UNLIMITED, latched=True))
    assert latches.latched == []
    assert state.uncounted == [("s", 2)]


@pytest.mark.parametrize(
    "session",
    [
        SessionFacts(UNLIMITED, UNLIMITED, revoked_reason="stopped"),
        SessionFacts(UNLIMITED, UNLIMITED, replayed=1),
        SessionFacts(UNLIMITED, UNLIMITED, conflict=True),
    ],
)
def test_a_call_that_was_not_counted_changes_nothing(session: SessionFacts) -> None:
    state, latches = settle(denied(DRIFT), session)
    assert (state.uncounted, latches.latched) == ([], [])


def test_what_fails_is_logged_and_changes_nothing_else() -> None:
    with capture_logs() as logged:
        state, _ = settle(denied(DRIFT), fails=True)
    assert state.asked == 1
    assert [(line["log_level"], line["session_id"]) for line in logged] == [
        ("critical", "s"),
        ("error", "s"),
    ]


def test_what_is_slow_goes_on_behind_the_answer() -> None:
    state, latches, go_on = State(), Latches(), threading.Event()
    latches.before = go_on.wait
    denials, began = Denials(state, latches), time.monotonic()
    with capture_logs() as logged:
        denials.settle(ENTRY, FOUND, denied(DRIFT), began + 0.1)
    assert 0.09 < time.monotonic() - began < 1
    assert [line["event"] for line in logged] == ["denial answered before it was settled"]
    assert state.uncounted == []
    go_on.set()
    while not state.uncounted:
        time.sleep(0.001)
        assert time.monotonic() - began < 5
    assert latches.latched == ["s"]


def test_when_the_deadline_is_over_nothing_is_waited_for() -> None:
    state, go_on = State(), threading.Event()
    state.before = go_on.wait
    began = time.monotonic()
    Denials(state, Latches()).settle(ENTRY, FOUND, denied("X_Y"), began - 1)
    assert time.monotonic() - began < 1
    go_on.set()


def test_what_is_logged_beside_the_request_names_it() -> None:
    logs.name({"request_id": "r-1"})
    with capture_logs([logs.named]) as logged:
        settle(denied(DRIFT), fails=True)
    assert [line["request_id"] for line in logged] == ["r-1", "r-1"]


def test_while_a_denial_is_settled_other_calls_have_the_baton(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = State()
    with holding_the_baton(monkeypatch) as others:
        state.before = others.compute
        Denials(state, Latches()).settle(ENTRY, FOUND, denied("X"), time.monotonic() + 5)
    assert state.uncounted == [("s", 2)]
