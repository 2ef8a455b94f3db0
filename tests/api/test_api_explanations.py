"""Explanations of recorded decisions over the API."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from falcon.testing import Result

from scopebound_engine.api import explanations
from scopebound_engine.database.engine import open_database
from scopebound_engine.log.shipper import Shipper
from scopebound_engine.node import database_url, log_dir, node_id
from scopebound_engine.times import moment
from tests.api.clocked import Agent, Service, clocked_service
from tests.bundles import bundle_files, packed, server_key
from tests.description import assert_valid, schema_of

DECISIONS = "/mgmt/v1/decisions"


def explained(service: Service, decision_id: str) -> Result:
    """The answer, once the record is in the database."""
    config = service.services.config
    engine = open_database(database_url(config), config.data_dir)
    Shipper(engine, log_dir(config), node_id(config.data_dir)).run()
    engine.dispose()
    return service.http.simulate_get(f"{DECISIONS}/{decision_id}/explain")


def told(service: Service, decision_id: str) -> dict[str, Any]:
    answer = explained(service, decision_id)
    assert answer.status_code == 200, answer.text
    assert_valid(schema_of("ExplanationAnswer"), answer.json)
    assert answer.json["decision_id"] == decision_id
    return dict(answer.json)


def refused(service: Service, decision_id: str, cause: str) -> str:
    answer = explained(service, decision_id)
    assert answer.status_code == 409, answer.text
    assert_valid(schema_of("Problem"), answer.json)
    assert answer.json["type"] == "urn:scopebound:problem:not-reproducible"
    assert answer.json["cause"] == cause
    return str(answer.json["detail"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """On SQLite alone: how records and bundles are found in databases is tested with those."""
    with clocked_service(tmp_path_factory.mktemp("service"), None) as made:
        yield made


@pytest.fixture(scope="module")
def agent(service: Service) -> Agent:
    return service.session(
        service.role(
            *("read", "pay"),
            data_scope={"allowed_envs": ["prod"], "max_rows": 1_000},
            parameter_constraints={"pay": [{"field": "amount", "operator": "lt", "value": 500}]},
        )
    )


def test_a_denial_is_explained_and_what_is_offered_turns_it(service: Service, agent: Agent) -> None:
    denied = agent.call("pay", {"amount": 900, "env": "dev"})
    found = told(service, denied["decision_id"])
    assert found["decision"] == "deny"
    codes = ["ENV_VIOLATION", "PARAMETER_VIOLATION"]
    assert [one["code"] for one in found["violations"]] == codes
    assert [one["code"] for one in found["fired"]] == codes
    assert found["fired"][0]["file"] == "scopebound/deny/env_violation.rego"
    assert len(found["nearly"]) > 5
    smallest = found["counterfactual"]["smallest"]
    assert smallest["call"]["call_args"] == {"amount": 499, "env": "prod"}
    assert agent.verdict("pay", smallest["call"]["call_args"]) == "allow"
    by_role = found["counterfactual"]["by_role"]
    assert {one["kind"] for one in by_role["changes"]} == {"role"}


def test_another_tool_is_offered_with_arguments_that_its_constraints_let_through(
    service: Service, agent: Agent
) -> None:
    denied = agent.call("payy", {"amount": 900})
    changes = told(service, denied["decision_id"])["counterfactual"]["smallest"]["changes"]
    # What the role demands of the tool is known here, as the role is what it was.
    assert not any(one["assumes"] for one in changes)
    call = told(service, denied["decision_id"])["counterfactual"]["smallest"]["call"]
    assert agent.verdict(call["tool_name"], call["call_args"]) == "allow"


def test_an_allow_is_explained_by_what_nearly_fired(service: Service, agent: Agent) -> None:
    found = told(service, agent.call("pay", {"amount": 499})["decision_id"])
    assert (found["decision"], found["fired"], found["counterfactual"]) == ("allow", [], None)
    assert all(one["failed"]["state"] == "failed" for one in found["nearly"])


def test_an_older_bundle_explains_what_it_decided(service: Service) -> None:
    agent = service.session(service.role("marked"))
    allowed = agent.call("marked")
    data = packed(server_key(service.services.config.data_dir), bundle_files("1.1.0", denies=True))
    answer = service.http.simulate_post("/mgmt/v1/bundles/upload", body=data)
    assert answer.status_code == 200, answer.text
    denied = agent.call("marked")
    assert told(service, allowed["decision_id"])["decision"] == "allow"
    (rule,) = told(service, denied["decision_id"])["fired"]
    assert rule["file"] == "scopebound/deny/marked_call.rego"


def test_what_cannot_be_decided_again_says_why(service: Service) -> None:
    role = service.role("read", log_mask=["/call_args/iban"])
    agent = service.session(role)
    masked = agent.call("read", {"iban": "DE1"})
    assert "masked" in refused(service, masked["decision_id"], "masked")
    first, again = agent.call("read", call_id="same"), agent.call("read", call_id="same")
    assert first["decision_id"] in refused(service, again["decision_id"], "replay")
    unfit = agent.call("read", {"a": "b\x00"})
    assert "REQUEST_INVALID" in refused(service, unfit["decision_id"], "engine")
    events = service.http.simulate_get(DECISIONS, params={"event": "session.provision"})
    if events.json["count"]:
        refused(service, events.json["decisions"][0]["record"]["id"], "no decision")


def test_a_record_that_is_not_there_is_not_found(service: Service) -> None:
    answer = explained(service, "00000000-0000-7000-8000-000000000000")
    assert answer.status_code == 404
    unknown = service.http.simulate_get(f"{DECISIONS}/x/explain", params={"deep": "1"})
    assert (unknown.status_code, unknown.json["field"]) == (400, "deep")


def test_it_is_for_auditors(service: Service, agent: Agent) -> None:
    wish = {"name": "agents", "scopes": ["enforce"]}
    key = service.http.simulate_post("/mgmt/v1/api-keys", json=wish).json["api_key"]
    path = f"{DECISIONS}/{agent.call('read')['decision_id']}/explain"
    answer = service.http.simulate_get(path, headers={"X-Scopebound-API-Key": key})
    assert answer.status_code == 403


def test_one_explanation_at_a_time_and_calls_are_decided_meanwhile(
    service: Service, agent: Agent
) -> None:
    decision_id = agent.call("drop")["decision_id"]
    assert explained(service, decision_id).status_code == 200
    path = f"{DECISIONS}/{decision_id}/explain"
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(service.http.simulate_get(path).status_code))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    verdicts = [agent.verdict("read") for _ in range(10)]
    for thread in threads:
        thread.join()
    assert verdicts == ["allow"] * 10
    assert set(answers) == {200, 503}


def test_it_has_a_deadline(service: Service, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    decision_id = agent.call("drop")["decision_id"]
    assert explained(service, decision_id).status_code == 200
    monkeypatch.setattr(explanations, "SECONDS", 0.01)
    started = time.monotonic()
    answer = explained(service, decision_id)
    assert answer.status_code in (200, 503)
    assert time.monotonic() - started < 15
    if answer.status_code == 200:
        assert not answer.json["counterfactual"]["complete"]


def test_what_is_answered_is_bounded(service: Service, agent: Agent) -> None:
    denied = agent.call("drop", {"env": "x" * 500_000, "limit": [["deep"] * 10] * 10})
    found = told(service, denied["decision_id"])
    without_call = {**found, "counterfactual": None}
    assert len(json.dumps(without_call)) < 200_000


def test_what_is_offered_may_be_a_time(service: Service) -> None:
    hour = moment(service.clock()).hour
    role = service.role(
        "read", allowed_hours_start=(hour + 2) % 24, allowed_hours_end=(hour + 3) % 24
    )
    agent = service.session(role)
    denied = agent.call("read")
    (change,) = told(service, denied["decision_id"])["counterfactual"]["smallest"]["changes"]
    assert change["kind"] == "wait"
    service.clock.ahead += change["after"] / 1_000 - service.clock() + 1
    assert service.session(role).verdict("read") == "allow"
