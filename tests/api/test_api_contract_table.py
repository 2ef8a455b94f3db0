"""What answers with which status: the table of the contract, row by row, on the real app."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from scopebound_engine import strict_json
from scopebound_engine.api.app import create_app
from scopebound_engine.config import Config
from scopebound_engine.decision.active import Loaded
from scopebound_engine.decision.pdp import DecisionPoint
from scopebound_engine.errors import EvaluationError, StateUnavailableError
from scopebound_engine.preparation import prepare
from scopebound_engine.session.state.seam import Entry, SessionFacts, Window
from scopebound_engine.wiring import Services, build_services
from tests.postgres import Databases
from tests.servers import API_KEY, make_prepared

ENDPOINTS = ["/v1/enforce", "/v1/mcp/enforce"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def services(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    folder: Path = tmp_path_factory.mktemp("table") / "data"
    settings: dict[str, Any] = {"data_dir": folder, "bootstrap_api_key": API_KEY}
    if request.param == "postgresql":
        databases: Databases = request.getfixturevalue("postgres_databases")
        settings["database_url"] = databases.url(databases.create())
    else:
        make_prepared(folder)
    config = Config.model_validate(settings)
    prepare(config)
    built = build_services(config)
    yield built
    built.close()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A service in which no bundle was ever activated."""
    config = Config.model_validate({"data_dir": tmp_path_factory.mktemp("bare") / "data"})
    make_prepared(config.data_dir)
    with closing(sqlite3.connect(config.data_dir / "scopebound.db")) as connection, connection:
        connection.execute("DELETE FROM activations")
    built = build_services(config)
    yield built
    built.close()


def client(services: Services, key: str = API_KEY) -> falcon.testing.TestClient:
    return falcon.testing.TestClient(create_app(services), headers={"X-Scopebound-API-Key": key})


@pytest.fixture(scope="module")
def http(services: Services) -> falcon.testing.TestClient:
    return client(services)


@pytest.fixture(scope="module")
def token(http: falcon.testing.TestClient) -> str:
    role = {"name": "table", "allowed_tools": ["read"]}
    assert http.simulate_post("/mgmt/v1/roles", json=role).status_code == 201
    return str(http.simulate_post("/v1/provision", json={"role_id": "table"}).json["jwt"])


def call(token: str, **changes: Any) -> dict[str, Any]:
    return {"jwt": token, "tool_name": "read", "call_args": {}} | changes


def assert_denied(answer: falcon.testing.Result, code: str, severity: str) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    decision: dict[str, Any] = answer.json
    assert (decision["decision"], decision["deny_code"]) == ("deny", code)
    assert decision["severity"] == severity
    assert decision["violations"][0]["code"] == code
    assert decision["violations"][0]["reason"] == decision["reason"]
    assert decision["reason"]
    assert decision["call_id"]
    assert decision["latency_ms"] >= 0
    return decision


@pytest.mark.parametrize("path", ENDPOINTS)
def test_an_allow(http: falcon.testing.TestClient, token: str, path: str) -> None:
    call_id = f"abc123 {path}"
    answer = http.simulate_post(path, json=call(token, call_id=call_id))
    assert answer.status_code == 200
    assert answer.json["decision"] == "allow"
    assert answer.json["call_id"] == call_id
    assert set(answer.json) == {
        *("decision", "decision_id", "call_id", "latency_ms"),
        *("bundle_id", "bundle_version", "bundle_checksum", "bundle_generation"),
    }


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_denial_of_the_policy(http: falcon.testing.TestClient, token: str, path: str) -> None:
    answer = http.simulate_post(path, json=call(token, tool_name="delete_invoice"))
    decision = assert_denied(answer, "SCOPE_VIOLATION", "medium")
    assert decision["retry_guidance"] == "none"
    assert decision["bundle_version"] == "1.0.0"


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("jwt", ["", "x", "a.b.c", "..", "{}", "é" * 10, "x" * 40_000])
def test_a_token_that_cannot_be_believed(
    http: falcon.testing.TestClient, path: str, jwt: str
) -> None:
    decision = assert_denied(http.simulate_post(path, json=call(jwt)), "JWT_INVALID", "high")
    assert "bundle_id" not in decision


class NoBundle:
    """No bundle to decide by, for a given reason."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def at_least(self, generation: int, deadline: float) -> Loaded:
        raise self._error


class AwayState:
    """Session state that cannot be reached."""

    def take(self, bucket: str, per_minute: int) -> Window:
        raise StateUnavailableError("the state database does not answer")

    def open(self, session_id: str, per_minute: int, per_hour: int, expires_at: int) -> None:
        raise StateUnavailableError("the state database does not answer")

    def enter(self, entry: Entry) -> SessionFacts:
        raise StateUnavailableError("the state database does not answer")

    def close(self) -> None:
        """Nothing to let go of."""


def deciding(services: Services, **parts: Any) -> DecisionPoint:
    """A decision point of these services, with other parts in place of some."""
    names = ("tokens", "state", "follower", "baselines", "sessions")
    chosen = [parts.get(name, getattr(services, name)) for name in names]
    return DecisionPoint(*chosen, clock=time.time)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_without_an_active_bundle(bare: Services, path: str) -> None:
    http = client(bare)
    http.simulate_post("/mgmt/v1/roles", json={"name": "table", "allowed_tools": ["read"]})
    token = http.simulate_post("/v1/provision", json={"role_id": "table"}).json["jwt"]
    decision = assert_denied(http.simulate_post(path, json=call(token)), "POLICY_ERROR", "critical")
    assert "no policy bundle is active" in decision["reason"]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_with_session_state_out_of_reach(services: Services, token: str, path: str) -> None:
    http = client(replace(services, decisions=deciding(services, state=AwayState())))
    decision = assert_denied(http.simulate_post(path, json=call(token)), "POLICY_ERROR", "critical")
    assert "state" in decision["reason"]


class Patient:
    """No bundle to decide by, but a note of how long there would be to wait for one."""

    def at_least(self, generation: int, deadline: float) -> Loaded:
        self.seconds = deadline - time.monotonic()
        raise EvaluationError("no policy bundle is active")


@pytest.mark.parametrize("path", ENDPOINTS)
def test_what_is_undecided_to_the_last_leaves_time_for_its_answer(
    services: Services, token: str, path: str
) -> None:
    bundles, total = Patient(), services.config.total_deadline_ms / 1000
    http = client(replace(services, decisions=deciding(services, follower=bundles)))
    assert_denied(http.simulate_post(path, json=call(token)), "POLICY_ERROR", "critical")
    assert bundles.seconds <= total * 0.9


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), ZeroDivisionError(), OSError(5)])
def test_an_uncaught_exception(services: Services, token: str, path: str, error: Exception) -> None:
    http = client(replace(services, decisions=deciding(services, follower=NoBundle(error))))
    assert_denied(http.simulate_post(path, json=call(token)), "POLICY_ERROR", "critical")


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"tool_name": None}, "tool_name"),
    ({"tool_name": 7}, "tool_name"),
    ({"tool_name": ""}, "tool_name"),
    ({"tool_name": "read\n"}, "tool_name"),
    ({"tool_name": "read\u0085"}, "tool_name"),
    ({"call_args": None}, "call_args"),
    ({"call_args": []}, "call_args"),
    ({"call_args": "x"}, "call_args"),
    ({"arguments": {}}, "arguments"),
    ({"call_id": 7}, "call_id"),
    ({"call_args": {"limit": 10.000000000000002}}, "call_args.limit"),
    ({"call_id": "x" * 129}, "call_id"),
]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(("changes", "field"), UNFIT)
def test_an_unfit_request(
    http: falcon.testing.TestClient, token: str, path: str, changes: dict[str, Any], field: str
) -> None:
    answer = http.simulate_post(path, json=call(token, **changes))
    decision = assert_denied(answer, "REQUEST_INVALID", "high")
    assert decision["retry_guidance"] == "change_args"
    assert field in decision["reason"]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_call_id_reused_with_another_body(
    http: falcon.testing.TestClient, token: str, path: str
) -> None:
    call_id = f"reused {path}"
    assert http.simulate_post(path, json=call(token, call_id=call_id)).json["decision"] == "allow"
    other = call(token, call_id=call_id, call_args={"a": 1})
    decision = assert_denied(http.simulate_post(path, json=other), "REQUEST_INVALID", "high")
    assert decision["retry_guidance"] == "change_args"
    assert decision["call_id"] == call_id
    assert "call_id" in decision["reason"]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("missing", ["tool_name", "call_args"])
def test_a_missing_field(
    http: falcon.testing.TestClient, token: str, path: str, missing: str
) -> None:
    body = call(token)
    del body[missing]
    decision = assert_denied(http.simulate_post(path, json=body), "REQUEST_INVALID", "high")
    assert missing in decision["reason"]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ('{"a":1,"a":2}', "twice"),
        ('{"a":NaN}', "NaN"),
        ('{"a":Infinity}', "Infinity"),
        ('{"a":1e999}', "finite"),
        ('{"a":"\\ud800"}', "surrogate"),
        ('{"a":"\\u0000"}', "NUL"),
        ('{"a":' + "9" * 65 + "}", "digits"),
        ('{"a":' + "[" * 20 + "]" * 20 + "}", "nested"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested"),
        ('{"a":[' + "1," * 3000 + "1]}", "values"),
        ("{" + ",".join(f'"{i}":1' for i in range(257)) + "}", "keys"),
        ('{"a":"' + "x" * (1 << 20) + '"}', "limit"),
    ],
)
def test_json_that_is_not_exact_or_over_a_limit(
    http: falcon.testing.TestClient, token: str, path: str, arguments: str, word: str
) -> None:
    body = f'{{"jwt":"{token}","tool_name":"read","call_args":{arguments}}}'
    decision = assert_denied(http.simulate_post(path, body=body), "REQUEST_INVALID", "high")
    assert word in decision["reason"]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("jwt", [None, 7, {}, [], True])
def test_a_jwt_that_is_no_string_is_the_integrators_mistake(
    http: falcon.testing.TestClient, path: str, jwt: Any
) -> None:
    answer = http.simulate_post(path, json=call("") | {"jwt": jwt})
    assert_problem(answer, 400, "invalid-request")
    assert answer.json["field"] == "jwt"
    body = call("")
    del body["jwt"]
    assert_problem(http.simulate_post(path, json=body), 400, "invalid-request")


def assert_problem(answer: falcon.testing.Result, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["type"] == f"urn:scopebound:problem:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", [*ENDPOINTS, "/v1/provision"])
def test_no_key_an_unknown_key_and_a_key_without_the_scope(
    services: Services, token: str, path: str
) -> None:
    app = falcon.testing.TestClient(create_app(services))
    assert_problem(app.simulate_post(path, json=call(token)), 401, "unauthenticated")
    unknown = client(services, "sb-unknown")
    assert_problem(unknown.simulate_post(path, json=call(token)), 401, "unauthenticated")
    _, secret = services.api_keys.create(f"audit-only {path}", frozenset({"audit"}), ())
    audit = client(services, secret)
    assert_problem(audit.simulate_post(path, json=call(token)), 403, "forbidden")


def test_a_key_for_other_roles_cannot_provision_this_one(services: Services, token: str) -> None:
    _, secret = services.api_keys.create("other-role", frozenset({"enforce"}), ("other",))
    answer = client(services, secret).simulate_post("/v1/provision", json={"role_id": "table"})
    assert_problem(answer, 403, "forbidden")


@pytest.mark.parametrize("path", ENDPOINTS)
def test_unknown_fields_and_a_claimed_action_change_nothing(
    http: falcon.testing.TestClient, token: str, path: str
) -> None:
    body = call(token, action="delegate", surprise={"deep": [1]}, tool_input=None)
    assert http.simulate_post(path, json=body).json["decision"] == "allow"
    denied = call(token, tool_name="other", action="delegate")
    assert_denied(http.simulate_post(path, json=denied), "SCOPE_VIOLATION", "medium")


@pytest.mark.parametrize("call_id", ["", None])
def test_an_absent_call_id_is_made_here(
    http: falcon.testing.TestClient, token: str, call_id: str | None
) -> None:
    answer = http.simulate_post("/v1/enforce", json=call(token, call_id=call_id))
    assert answer.json["decision"] == "allow"
    assert len(answer.json["call_id"]) >= 16


def test_management_mistakes_name_the_field(http: falcon.testing.TestClient) -> None:
    for body, field in (
        ({"name": "x", "allowed_tools": "read"}, "allowed_tools"),
        ({"name": "x", "surprise": 1}, "surprise"),
        ({"allowed_tools": []}, "name"),
    ):
        answer = http.simulate_post("/mgmt/v1/roles", json=body)
        assert_problem(answer, 400, "invalid-request")
        assert field in answer.json["detail"]


def test_unknown_things_are_404_and_duplicates_409(http: falcon.testing.TestClient) -> None:
    uuid = "00000000-0000-4000-8000-000000000000"
    by_name = "/mgmt/v1/roles?name="
    for path in (f"/mgmt/v1/roles/{uuid}", f"{by_name}nobody", f"{by_name}%00", "/v1/nothing"):
        assert_problem(http.simulate_get(path), 404, "not-found")
    for role in (uuid, "nobody"):
        answer = http.simulate_post("/v1/provision", json={"role_id": role})
        assert_problem(answer, 404, "not-found")
    role = {"name": "twin", "allowed_tools": []}
    assert http.simulate_post("/mgmt/v1/roles", json=role).status_code == 201
    assert_problem(http.simulate_post("/mgmt/v1/roles", json=role), 409, "conflict")


def test_a_management_body_over_the_limit_is_413(http: falcon.testing.TestClient) -> None:
    answer = http.simulate_post("/mgmt/v1/roles", body=b'"' + b"x" * (2 << 20) + b'"')
    assert_problem(answer, 413, "too-large")


def test_a_delegation_that_the_policy_refuses_is_403_with_the_decision(
    http: falcon.testing.TestClient, token: str
) -> None:
    body = {"role_id": "table", "parent_session_id": "47bb16ec-e06a-4090-9a4a-e0873e680545"}
    answer = http.simulate_post("/v1/provision", json=body)
    assert_problem(answer, 403, "delegation-refused")
    problem = answer.json
    assert (problem["decision"], problem["deny_code"]) == ("deny", "SESSION_EXPIRED")
    assert (problem["severity"], problem["retry_guidance"]) == ("low", "none")
    assert problem["reason"] == problem["detail"] == problem["violations"][0]["reason"]
    assert problem["bundle_version"] == "1.0.0"


def test_a_method_that_is_not_there_is_405(http: falcon.testing.TestClient) -> None:
    answer = http.simulate_get("/v1/enforce")
    assert_problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["allow"]


def test_with_state_out_of_reach_provision_is_503(services: Services, token: str) -> None:
    away = replace(services.provisioner, state=AwayState())
    http = client(replace(services, provisioner=away))
    answer = http.simulate_post("/v1/provision", json={"role_id": "table"})
    assert_problem(answer, 503, "unavailable")


def test_health_is_down_without_a_bundle(services: Services, bare: Services) -> None:
    healthy = client(services).simulate_get("/healthz")
    assert (healthy.status_code, healthy.json["status"], healthy.json["sprint"]) == (200, "ok", "7")
    down = client(bare).simulate_get("/healthz")
    assert (down.status_code, down.json["status"]) == (503, "down")


def test_forged_decisions_never_allow(http: falcon.testing.TestClient, token: str) -> None:
    forgeries = [
        'x","allow":true,"z":"y',
        '"}],"allow":true}]}',
        '{"expressions":[{"allow":true, "violations":[]}]}',
        'x\\","allow":true,"z":"y',
        "x\\u0022,\\u0022allow\\u0022:true",
        '%s","allow":true',
        "undefined",
        '"],"violations":[]}',
    ]
    constraint = [{"field": "f", "operator": "eq", "value": "never"}]
    for number, forgery in enumerate(forgeries):
        name = f"forged-{number}"
        role = {
            "name": name,
            "allowed_tools": ["read"],
            "parameter_constraints": {"read": [c | {"value": forgery + "!"} for c in constraint]},
            "data_scope": {"allowed_envs": ["prod", forgery + "!"]},
        }
        assert http.simulate_post("/mgmt/v1/roles", json=role).status_code == 201
        jwt = http.simulate_post("/v1/provision", json={"role_id": name}).json["jwt"]
        for path in ENDPOINTS:
            for changes in (
                {"tool_name": forgery},
                {"call_args": {"f": forgery}},
                {"call_args": {"env": forgery}},
                {"call_args": {"f": {forgery: forgery}}},
                {"tool_name": "other", "call_args": {forgery: True}, "call_id": forgery[:100]},
                {"tool_name": "other", "mcp_server": forgery},
            ):
                body = strict_json.dumps(call(jwt, **changes))
                decision = http.simulate_post(path, body=body).json
                assert decision["decision"] == "deny", json.dumps(changes)
                assert decision["deny_code"] != "POLICY_ERROR", decision
