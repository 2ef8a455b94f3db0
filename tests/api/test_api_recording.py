"""Each answer of the enforce endpoints and each session: one record, written before the answer."""

import hashlib
import json

import pytest

from scopebound_engine import budget
from scopebound_engine.decision.active import Loaded
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import Decision, DecisionPoint, policy_error
from scopebound_engine.log.latches import RecordedLatches
from tests.api.clocked import Agent, Service
from tests.api.recorded import (
    ENDPOINTS,
    SUBJECTS,
    assert_of_one_piece,
    call,
    post,
    recording,
    with_parts,
)


@ENDPOINTS
def test_an_allow(service: Service, agent: Agent, path: str) -> None:
    body = call(agent, call_args={"a": [1, 2.5, "é", None]}, call_id=f"c {path}")
    answer, record = post(service, path, json=body)
    assert_of_one_piece(answer, record)
    assert record["event"] == f"{SUBJECTS[path]}.allow"
    assert record["input"]["call_args"] == body["call_args"]
    assert record["input"]["call_id"] == body["call_id"]
    assert record["reproducible"] is True
    assert record["session"]["id"] == agent.session_id
    assert record["session"]["kid"]
    assert record["role"]["revision"] == 1
    assert record["latency_ms"]["total"] >= record["latency_ms"]["policy"] > 0
    request = record["request"]
    assert (request["method"], request["path"], request["peer"]) == ("POST", path, "127.0.0.1")
    assert request["api_key_id"]


@ENDPOINTS
def test_a_denial(service: Service, agent: Agent, path: str) -> None:
    answer, record = post(service, path, json=call(agent, tool_name="delete"))
    assert_of_one_piece(answer, record)
    assert (record["event"], record["deny_code"]) == (f"{SUBJECTS[path]}.deny", "SCOPE_VIOLATION")
    assert record["reproducible"] is True
    [rule] = record["violations"][0]["rules"]
    assert rule.startswith("scopebound/deny/scope_violation.rego:")


@ENDPOINTS
@pytest.mark.parametrize("jwt", ["", "x", "a.b.c", "x" * 40_000])
def test_a_token_that_is_not_believed(service: Service, agent: Agent, path: str, jwt: str) -> None:
    body = call(agent, jwt=jwt, call_args={"iban": "DE1"})
    answer, record = post(service, path, json=body)
    assert_of_one_piece(answer, record)
    assert record["deny_code"] == "JWT_INVALID"
    assert "session" not in record
    assert len(json.dumps(record)) < 4_000


def test_claims_of_a_tampered_token_are_marked_as_unverified(
    service: Service, agent: Agent
) -> None:
    body = call(agent, jwt=agent.jwt[:-8] + "AAAAAAAA")
    _, record = post(service, "/v1/enforce", json=body)
    assert record["claims_unverified"]["jti"] == agent.session_id


@ENDPOINTS
@pytest.mark.parametrize(
    "unfit",
    [
        b"",
        b"[]",
        b"{",
        b'{"jwt":"x"}',
        b'{"jwt":"x","tool_name":7,"call_args":{}}',
        b'{"jwt":"x","tool_name":"read","call_args":{"a":1,"a":2}}',
        b'{"jwt":"x","tool_name":"read","call_args":{"a":"' + b"x" * (1 << 20) + b'"}}',
    ],
    ids=len,
)
def test_an_unfit_request(service: Service, path: str, unfit: bytes) -> None:
    answer, record = post(service, path, body=unfit)
    assert_of_one_piece(answer, record)
    assert (record["event"], record["deny_code"]) == (f"{SUBJECTS[path]}.deny", "REQUEST_INVALID")
    if unfit:
        digest = hashlib.sha256(unfit).hexdigest()
        assert record["body"] == {"sha256": digest, "bytes": len(unfit)}
    assert len(json.dumps(record)) < 2_000


def test_a_call_id_that_is_used_twice(service: Service, agent: Agent) -> None:
    post(service, "/v1/enforce", json=call(agent, call_id="twice"))
    body = call(agent, call_id="twice", call_args={"a": 1})
    answer, record = post(service, "/v1/enforce", json=body)
    assert_of_one_piece(answer, record)
    assert record["deny_code"] == "REQUEST_INVALID"
    assert record["call"]["call_args"] == {"a": 1}
    assert record["session"]["id"] == agent.session_id


class Broken:
    """No bundle to decide by, because of a bug."""

    def at_least(self, generation: int, deadline: float) -> Loaded:
        raise ZeroDivisionError


@ENDPOINTS
def test_what_cannot_be_decided(service: Service, agent: Agent, path: str) -> None:
    own = service.services
    point = DecisionPoint(
        own.tokens, own.state, Broken(), own.baselines, own.sessions, clock=own.clock
    )
    answer, record = post(with_parts(service, decisions=point), path, json=call(agent))
    assert_of_one_piece(answer, record)
    assert record["deny_code"] == "POLICY_ERROR"
    assert record["call"]["tool_name"] == "read"
    assert record["reproducible"] is False


class Waiting:
    """Notes how long a decision may wait for anything."""

    def decide(self, _call: Call, _token: str, _deadline: float) -> Decision:
        self.seconds = budget.left(60)
        return policy_error("it was not asked")


@ENDPOINTS
def test_whatever_a_decision_waits_for_its_time_ends_before_the_requests(
    service: Service, agent: Agent, path: str
) -> None:
    waiting = Waiting()
    post(with_parts(service, decisions=waiting), path, json=call(agent))
    assert 0 < waiting.seconds < service.services.config.total_deadline_ms / 1000
    assert budget.left(60) == 60


def test_a_replay_is_short_and_names_the_first(service: Service, agent: Agent) -> None:
    body = call(agent, call_id="again", call_args={"a": 1})
    _, first = post(service, "/v1/enforce", json=body)
    answer, record = post(service, "/v1/enforce", json=body)
    assert answer.json["replayed"] is True
    assert answer.json["decision_id"] == record["id"] != first["id"]
    assert (record["event"], record["of"], record["replayed"]) == (
        "tool_call.replay",
        first["id"],
        1,
    )
    assert record["decision"] == "allow"
    assert len(json.dumps(record)) < len(json.dumps(first)) / 1.5


def test_a_session_that_is_made(service: Service) -> None:
    role_id = service.role("read")
    answer, record = post(service, "/v1/provision", json={"role_id": role_id})
    assert record["event"] == "session.provisioned"
    assert record["session"]["id"] == answer.json["session_id"]
    assert record["role"]["id"] == role_id
    assert record["actor"] == {
        "api_key_id": record["request"]["api_key_id"],
        "name": record["actor"]["name"],
    }
    assert record["details"]["expires_at"] == answer.json["expires_at"]


def test_a_session_that_another_one_spawns(service: Service) -> None:
    role_id = service.role("read", max_delegation_depth=1)
    parent = service.session(role_id)
    body = {"role_id": role_id, "parent_session_id": parent.session_id}
    with recording(service) as new:
        child = service.http.simulate_post("/v1/provision", json=body)
    allowed, made = new
    assert (allowed["event"], made["event"]) == ("delegation.allow", "session.provisioned")
    assert allowed["session"]["id"] == made["session"]["parent"] == parent.session_id
    assert allowed["input"]["child"]["ttl_seconds"] == 3600
    assert allowed["reproducible"] is True
    body["parent_session_id"] = child.json["session_id"]
    refused, record = post(service, "/v1/provision", json=body)
    assert refused.status_code == record["request"]["status"] == 403
    assert (record["event"], record["deny_code"]) == (
        "delegation.deny",
        "DELEGATION_DEPTH_EXCEEDED",
    )
    assert refused.json["decision_id"] == record["id"]


def test_a_session_that_drifted_is_recorded_once(service: Service, agent: Agent) -> None:
    with recording(service) as new:
        latches = RecordedLatches(service.services.sessions, service.services.recorder)
        latches.latch(agent.session_id)
        latches.latch(agent.session_id)
    [record] = new
    assert record["event"] == "session.drift_latched"
    assert record["subject"] == {"type": "session", "id": agent.session_id}
