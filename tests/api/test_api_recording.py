"""Each answer of the enforce endpoints and each session: one record, written before the answer."""

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import Result, TestClient
from structlog.testing import capture_logs

from scopebound_engine import budget, logs
from scopebound_engine.api.app import create_app
from scopebound_engine.cli.connections import TimedSocket
from scopebound_engine.config import Config
from scopebound_engine.decision.active import Loaded
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import Decision, DecisionPoint, policy_error
from scopebound_engine.log.latches import RecordedLatches
from scopebound_engine.preparation import prepare
from scopebound_engine.wiring import build_services
from tests.api.clocked import Agent, Service
from tests.bundles import quick_policies
from tests.recording import Record, records_of
from tests.servers import API_KEY

SUBJECTS = {"/v1/enforce": "tool_call", "/v1/mcp/enforce": "mcp_tool_call"}
ENDPOINTS = pytest.mark.parametrize("path", SUBJECTS)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def log_of(service: Service) -> list[Record]:
    return records_of(service.services.config.data_dir)


@contextmanager
def recording(service: Service) -> Iterator[list[Record]]:
    """What is recorded within the block, once it is over."""
    before, new = len(log_of(service)), list[Record]()
    yield new
    new += log_of(service)[before:]


@pytest.fixture
def agent(service: Service) -> Agent:
    return service.session(service.role("read"))


def post(service: Service, path: str, **request: Any) -> tuple[Result, Record]:
    """The answer, and the one record that it left."""
    with recording(service) as new:
        answer = service.http.simulate_post(path, **request)
    [record] = new
    return answer, record


def call(agent: Agent, **changes: Any) -> dict[str, Any]:
    return {"jwt": agent.jwt, "tool_name": "read", "call_args": {}, **changes}


def assert_of_one_piece(answer: Result, record: Record) -> None:
    """What was answered is what was recorded."""
    said = answer.json
    assert answer.status_code == record["request"]["status"] == 200
    assert said["decision_id"] == record["id"]
    for name in ("decision", "call_id", "deny_code"):
        assert said.get(name) == record.get(name)
    assert said.get("violations", []) == [
        {name: value for name, value in violation.items() if name != "rules"}
        for violation in record.get("violations", [])
    ]
    assert said.get("bundle_checksum") == record.get("bundle", {}).get("checksum")
    assert answer.headers["x-request-id"] == record["request"]["id"]
    assert record["event"].endswith(f".{said['decision']}")


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


def with_parts(service: Service, **parts: Any) -> Service:
    services = replace(service.services, **parts)
    http = TestClient(create_app(services), headers={"X-Scopebound-API-Key": API_KEY})
    return replace(service, services=services, http=http)


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


def test_what_does_not_count_is_only_recorded(service: Service, agent: Agent) -> None:
    extra = {f"f{number:02}": "a value" for number in range(40)}
    body = call(agent, action="delegate", mcp_server="erp", **extra, **{"x" * 200: 1})
    _, record = post(service, "/v1/enforce", json=body)
    request = record["request"]
    assert request["client_action"] == "delegate"
    assert request["ignored_fields"] == [*(f"f{number:02}" for number in range(16))]
    _, record = post(service, "/v1/enforce", json=call(agent, mcp_server="erp", surprise=1))
    assert record["request"]["ignored_fields"] == ["mcp_server", "surprise"]
    _, record = post(service, "/v1/mcp/enforce", json=call(agent, mcp_server="erp", action=["x"]))
    assert record["request"].keys().isdisjoint({"ignored_fields", "client_action"})
    assert record["mcp_server"] == "erp"


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        (TRACE, True),
        (TRACE.replace("00-4", "cc-4"), True),
        (TRACE.replace("00-4", "ff-4"), False),
        (TRACE.upper(), False),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
        (f"00-{'1' * 32}-{'0' * 16}-01", False),
        (f"{TRACE}, {TRACE}", False),
        ("<script>", False),
    ],
)
def test_a_trace_is_carried_where_it_is_one(
    service: Service, agent: Agent, given: str, is_kept: bool
) -> None:
    headers = {"traceparent": given}
    _, record = post(service, "/v1/enforce", json=call(agent), headers=headers)
    assert record["request"].get("traceparent") == (given if is_kept else None)


@pytest.mark.parametrize("headers", [{}, {"traceparent": TRACE}])
def test_what_is_logged_of_a_request_names_it(
    service: Service, agent: Agent, headers: dict[str, str]
) -> None:
    broken = replace(agent, service=with_parts(service, decisions=None))
    with capture_logs([logs.named]) as logged:
        answer = broken.service.http.simulate_post("/v1/enforce", json=call(agent), headers=headers)
    [line] = logged
    assert line["event"] == "enforce failed"
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line.get("traceparent") == headers.get("traceparent")


def test_clocks_are_compared_where_there_are_two(service: Service, agent: Agent) -> None:
    _, record = post(service, "/v1/enforce", json=call(agent))
    if service.services.config.database_url is None:
        assert record["clock"] == {"skew_ms": None}
    else:
        assert abs(record["clock"]["skew_ms"]) < 1_000


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


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, TimedSocket]]:
    """The client's end and the server's; a request came in just now."""
    client, server = socket.socketpair()
    with client, TimedSocket(fileno=server.detach()) as timed:
        timed.arrived = time.monotonic()
        yield client, timed


def post_late(
    service: Service, agent: Agent, connection: TimedSocket
) -> tuple[dict[str, Any], list[Record]]:
    with recording(service) as new:
        extras = {"gunicorn.socket": connection}
        answer = service.http.simulate_post("/v1/enforce", json=call(agent), extras=extras)
    return dict(answer.json), new


def test_an_answer_in_time_to_a_peer_that_is_there_is_not_late(
    service: Service, agent: Agent, connection: tuple[socket.socket, TimedSocket]
) -> None:
    said, records = post_late(service, agent, connection[1])
    assert said["decision"] == "allow"
    assert len(records) == 1


def test_an_answer_after_two_seconds_is_marked(
    service: Service, agent: Agent, connection: tuple[socket.socket, TimedSocket]
) -> None:
    connection[1].arrived -= 2.5
    said, (decision, late) = post_late(service, agent, connection[1])
    assert said["deny_code"] == "POLICY_ERROR"
    assert late["event"] == "answer.late"
    assert (late["of"], late["decision"]) == (decision["id"], "deny")
    assert late["request"]["id"] == decision["request"]["id"]
    assert late["details"]["elapsed_ms"] > 2500
    assert late["details"]["peer_gone"] is False


def test_an_answer_to_nobody_is_marked(
    service: Service, agent: Agent, connection: tuple[socket.socket, TimedSocket]
) -> None:
    connection[0].close()
    said, (decision, late) = post_late(service, agent, connection[1])
    assert said["decision"] == late["decision"] == "allow"
    assert (late["event"], late["of"]) == ("answer.late", decision["id"])
    assert late["details"]["peer_gone"] is True


def test_no_secret_is_in_any_record(service: Service, agent: Agent) -> None:
    _, secret = service.services.api_keys.create("spy", frozenset({"enforce"}), ())
    service.role("read", webhook_secret="the-webhook-secret-0123456789")
    headers = {"X-Scopebound-API-Key": secret}
    for path in SUBJECTS:
        for changes in ({}, {"tool_name": "delete"}, {"jwt": agent.jwt[:-4] + "AAAA"}):
            service.http.simulate_post(path, json=call(agent, **changes), headers=headers)
    service.http.simulate_post("/v1/enforce", json=call(agent, call_args=7), headers=headers)
    for astray in (secret, f"key={secret}", agent.jwt, "x" * 50 + secret):
        body = call(agent, action=astray, **{astray: 1})
        service.http.simulate_post("/v1/enforce", json=body, headers=headers)
    log = json.dumps(log_of(service))
    signature = agent.jwt.rpartition(".")[2]
    for text in (secret, secret[3:13], API_KEY, agent.jwt, signature, "the-webhook-secret"):
        assert text not in log


@pytest.mark.parametrize("limit", [50_123.00000000001, "50123", [50_123]])
def test_an_argument_that_a_role_masks_is_in_no_record_of_an_unfit_call(
    service: Service, limit: Any
) -> None:
    agent = service.session(service.role("read", log_mask=["/call_args/limit"]))
    for unfit in ({}, {"tool_name": "a\nb"}, {"call_id": 7}, {"arguments": {}}):
        body = call(agent, call_args={"limit": limit}, **unfit)
        _, record = post(service, "/v1/enforce", body=json.dumps(body))
        assert "50123" not in json.dumps(record)


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Service]:
    """A service of its own, which masks an argument of every call."""
    config = Config.model_validate(
        {
            "data_dir": tmp_path / "data",
            "bootstrap_api_key": API_KEY,
            "policies": quick_policies(tmp_path),
            "evaluators": 1,
            "evaluation_deadline_ms": 1_000,
            "log_mask": "/call_args/iban",
        }
    )
    prepare(config)
    services = build_services(config)
    http = TestClient(create_app(services), headers={"X-Scopebound-API-Key": API_KEY})
    yield Service(services, services.clock, http)  # type: ignore[arg-type]
    services.close()


def test_masked_arguments_are_in_no_record(lone: Service) -> None:
    rule = {"field": "iban", "operator": "eq", "value": "DE-allowed"}
    role_id = lone.role(
        "pay",
        parameter_constraints={"pay": [rule]},
        data_scope={"allowed_envs": ["staging"]},
        log_mask=["/call_args/env"],
    )
    agent = lone.session(role_id)
    args = {"iban": "DE-secret", "env": "Mallory-1", "amount": 5}
    assert "Mallory-1" in str(agent.call("pay", args)["violations"])
    agent.call("pay", args | {"iban": "DE-allowed"})
    agent.call("pay", {"amount": 5})
    log = log_of(lone)
    text = json.dumps(log)
    assert "DE-secret" not in text
    assert "Mallory-1" not in text
    first, second, third = (one for one in log if one["event"].startswith("tool_call"))
    assert first["masked"] == second["masked"] == ["/call_args/env", "/call_args/iban"]
    assert (first["reproducible"], third["reproducible"]) == (False, True)
    assert first["input"]["call_args"]["env"] == second["input"]["call_args"]["env"]
    assert first["deny_code"] == "ENV_VIOLATION"
    assert third["skipped"] == ["iban"]


@contextmanager
def unwritable(service: Service) -> Iterator[None]:
    """The journal's folder is gone, and there can be none."""
    folder = service.services.config.data_dir / "log"
    service.services.recorder.close()
    folder.rename(folder.with_name("former"))
    folder.write_text("")
    yield
    folder.unlink()


def test_what_cannot_be_recorded_is_denied_and_no_call_of_its_session(lone: Service) -> None:
    role_id = lone.role("read", rate_limit_per_minute=30)
    agent = lone.session(role_id)
    assert agent.verdict("read") == "allow"
    with unwritable(lone):
        answer = agent.answer("read")
        denied = agent.call("delete")
        refused = lone.http.simulate_post("/v1/provision", json={"role_id": role_id})
    said = answer.json
    assert (said["decision"], said["deny_code"]) == ("deny", "POLICY_ERROR")
    assert "decision log" in said["reason"]
    assert said.keys().isdisjoint({"decision_id", "bundle_id"})
    assert "RateLimit" in answer.headers
    assert denied["deny_code"] == "POLICY_ERROR"
    assert refused.status_code == 503
    assert refused.json["type"] == "urn:scopebound:problem:unrecorded"
    assert "jwt" not in refused.json
    assert agent.verdict("read") == "allow"
    assert agent.look()["calls"] == {"read": 2}


def test_a_fault_of_the_recorder_itself_is_a_denial_too(lone: Service) -> None:
    class Faulty:
        def decision(self, *_: Any) -> str:
            raise ZeroDivisionError

    agent = lone.session(lone.role("read"))
    broken = replace(agent, service=with_parts(lone, recorder=Faulty()))
    assert broken.verdict("read") == "POLICY_ERROR"
