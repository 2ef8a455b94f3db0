"""The evidence of drift in the Rego input: of which calls it is, and how it is spelled."""

from typing import Any

import pytest

from scopebound_engine.decision.facts import Call, build
from scopebound_engine.session.drift.evidence import Baseline, log_evidence
from scopebound_engine.session.state.seam import SessionFacts
from tests.decision.facts_samples import CLAIMS, SESSION

BASELINE = Baseline(("pay", "send_email"), (0.9, 0.05, 0.05), 30.0, sessions=50, calls=900)


def drift(tool: str | None, counts: tuple[int, ...], **found: Any) -> dict[str, Any]:
    action = "tool_call" if tool else "delegate"
    session = SessionFacts(SESSION.minute, SESSION.hour, counts=counts, **found)
    document = build(Call(action, tool, {}, "c"), CLAIMS, 0, session, baseline=BASELINE)
    return dict(document["session"]["drift"])


@pytest.mark.parametrize(
    ("tool", "counted"),
    [
        ("pay", {"pay": 4, "send_email": 1, "": 2}),
        ("send_email", {"pay": 3, "send_email": 2, "": 2}),
        ("drop_table", {"pay": 3, "send_email": 1, "": 3}),
        (None, {"pay": 3, "send_email": 1, "": 2}),
    ],
)
def test_the_evidence_is_of_the_calls_before_and_of_this_one(
    tool: str | None, counted: dict[str, int]
) -> None:
    assert drift(tool, (3, 1, 2)) == {
        "ready": True,
        "log_evidence": round(log_evidence(counted, BASELINE), 6),
        "latched": False,
        "calls": sum(counted.values()),
        "baseline_sessions": 50,
    }


def test_a_session_without_calls_has_this_one() -> None:
    assert drift("pay", ())["calls"] == drift("pay", (0, 0, 0))["calls"] == 1


def test_without_a_baseline_there_is_no_evidence() -> None:
    session = SessionFacts(SESSION.minute, SESSION.hour, counts=(90, 0, 9), latched=True)
    document = build(Call("tool_call", "pay", {}, "c"), CLAIMS, 0, session)

    assert document["session"]["drift"] == {
        "ready": False,
        "log_evidence": 0,
        "latched": True,
        "calls": 100,
        "baseline_sessions": 0,
    }


def test_a_session_that_was_latched_says_so() -> None:
    assert drift("pay", (1, 1, 1), latched=True)["latched"] is True


def test_evidence_of_next_to_nothing_is_zero_in_its_one_spelling() -> None:
    baseline = Baseline(("pay",), (0.5, 0.5), 0.9999999, sessions=50, calls=900)
    assert -1e-6 < log_evidence({"pay": 3}, baseline) < 0
    session = SessionFacts(SESSION.minute, SESSION.hour, counts=(2, 0, 0))
    document = build(Call("tool_call", "pay", {}, "c"), CLAIMS, 0, session, baseline=baseline)

    assert str(document["session"]["drift"]["log_evidence"]) == "0"
