"""No secret and no masked argument is in any record."""

import json
from typing import Any

import pytest

from tests.api.clocked import Agent, Service
from tests.api.recorded import SUBJECTS, call, log_of, post
from tests.servers import API_KEY


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
