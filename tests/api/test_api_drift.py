"""Drift from end to end: sessions end, a baseline is fitted to them, and others are held to it."""

from typing import Any

import pytest

from scopebound_engine.session.drift.course import course, denied_at
from scopebound_engine.session.drift.evidence import Baseline
from scopebound_engine.session.drift.fitting import fit
from tests.api.clocked import Agent, Service

TOOLS = ("read", "list", "mail", "purge")
USUAL = ["read"] * 7 + ["list"] * 3 + ["mail"]
STRANGE = ["purge", "mail"] * 6
ONLY_SMALL = {"read": [{"field": "rows", "operator": "lt", "value": 10}]}


@pytest.fixture(scope="module")
def role(service: Service) -> str:
    """A role whose baseline was fitted to what its sessions did before they ended."""
    role_id = service.role(*TOOLS, parameter_constraints=ONLY_SMALL)
    for number in range(20):
        agent = service.session(role_id)
        for tool in USUAL + ["list"] * (number % 3):
            assert agent.verdict(tool) == "allow"
        if number < 5:
            assert agent.verdict("drop") == "SCOPE_VIOLATION"
            assert agent.verdict("read", {"rows": 99}) == "PARAMETER_VIOLATION"
    drifted, revoked = service.session(role_id), service.session(role_id)
    service.services.sessions.latch(drifted.session_id)
    for agent in (drifted, revoked):
        agent.call("purge")
    service.http.simulate_delete(f"/v1/sessions/{revoked.session_id}")
    end_all(service)
    roles = service.services.roles
    fitted = fit(service.services.baselines, roles, roles.get(role_id))
    assert fitted.stored is not None
    return role_id


def end_all(service: Service) -> None:
    """Let every session expire, and what it did be kept."""
    service.clock.ahead += 4_000
    parts = service.services
    assert len(parts.baselines.take_over(parts.state.counts_of)) >= 22


def pinned(service: Service, agent: Agent) -> Baseline:
    session = service.services.sessions.get(agent.session_id)
    assert session.baseline_id is not None
    return service.services.baselines.get(session.baseline_id)


def drift(agent: Agent) -> dict[str, Any]:
    return dict(agent.look()["drift"])


def test_the_baseline_is_of_allowed_calls_of_sessions_that_nobody_stopped(
    service: Service, role: str
) -> None:
    baseline = pinned(service, service.session(role))
    assert baseline.tools == TOOLS
    assert (baseline.sessions, baseline.calls) == (20, 20 * 11 + sum(n % 3 for n in range(20)))
    assert baseline.frequencies[3] == baseline.frequencies[4]  # neither was ever called


def test_a_session_like_its_baseline_is_never_denied(service: Service, role: str) -> None:
    agent = service.session(role)
    assert {agent.verdict(tool) for tool in USUAL * 4} == {"allow"}
    assert drift(agent)["log_evidence"] < 0


def test_another_one_is_denied_at_the_call_that_is_foreseen_and_stays_denied(
    service: Service, role: str
) -> None:
    agent = service.session(role)
    calls = [TOOLS.index(tool) for tool in STRANGE]
    at = denied_at(course(calls, pinned(service, agent)))
    assert at == 10
    for number, tool in enumerate(STRANGE[:at], 1):
        decision = agent.call(tool)
        assert decision["decision"] == ("deny" if number == at else "allow"), number
    assert (decision["deny_code"], decision["severity"]) == ("BEHAVIORAL_DRIFT", "high")
    assert "after 10 calls" in decision["reason"]
    assert decision["retry_guidance"] == "none"
    for tool in USUAL:
        denied = agent.call(tool)
        assert denied["deny_code"] == "BEHAVIORAL_DRIFT"
        assert "an operator has to clear it" in denied["reason"]
    assert drift(agent)["latched"]
    assert agent.look()["calls"] == {"purge": 5, "mail": 4}


def test_what_an_operator_clears_is_allowed_again_and_judged_from_its_beginning(
    service: Service, role: str
) -> None:
    agent = service.session(role)
    for tool in STRANGE:
        agent.call(tool)
    assert agent.verdict("read") == "BEHAVIORAL_DRIFT"
    cleared = service.http.simulate_post(f"/v1/sessions/{agent.session_id}/clear-drift")
    assert cleared.status_code == 200
    assert [agent.verdict(tool) for tool in STRANGE[:9]] == ["allow"] * 9
    assert agent.verdict("purge") == "BEHAVIORAL_DRIFT"


def test_a_repeated_denial_does_not_undo_that_an_operator_cleared_it(
    service: Service, role: str
) -> None:
    agent = service.session(role)
    for number, tool in enumerate(STRANGE[:10]):
        agent.call(tool, call_id=str(number))
    service.http.simulate_post(f"/v1/sessions/{agent.session_id}/clear-drift")
    again = agent.call(STRANGE[9], call_id="9")
    assert (again["deny_code"], again["replayed"]) == ("BEHAVIORAL_DRIFT", True)
    assert not drift(agent)["latched"]
    assert agent.verdict("purge") == "allow"


def test_denied_calls_do_not_pad(service: Service, role: str) -> None:
    agent = service.session(role)
    for tool in STRANGE[:8]:
        assert agent.verdict(tool) == "allow"
        for _ in range(3):
            assert agent.verdict("drop") == "SCOPE_VIOLATION"
    assert drift(agent) == drift(agent) | {"calls": 8, "latched": False}
    assert [agent.verdict(tool) for tool in STRANGE[8:10]] == ["allow", "BEHAVIORAL_DRIFT"]


def test_denied_calls_do_not_clear(service: Service, role: str) -> None:
    agent = service.session(role)
    for tool in STRANGE[:6]:
        assert agent.verdict(tool) == "allow"
        for _ in range(10):
            assert agent.verdict("read", {"rows": 99}) == "PARAMETER_VIOLATION"
    assert [agent.verdict(tool) for tool in STRANGE[6:10]] == ["allow"] * 3 + ["BEHAVIORAL_DRIFT"]


def test_a_role_without_a_baseline_has_no_drift(service: Service) -> None:
    agent = service.session(service.role(*TOOLS))
    assert {agent.verdict(tool) for tool in STRANGE * 3} == {"allow"}
    assert drift(agent) == {
        "ready": False,
        "log_evidence": 0.0,
        "latched": False,
        "calls": 36,
        "baseline_sessions": 0,
    }
