"""Calls that come again under their call id: one decision's worth of tokens, but today's policy."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from falcon.testing import TestClient

from tests.api.clocked import Agent, Service
from tests.api.pair import Pair, create
from tests.bundles import MARKED, MARKED_CODE, make_bundle, server_key


@pytest.fixture
def agent(service: Service) -> Agent:
    return service.session(service.role("read", MARKED, rate_limit_per_hour=3))


def test_a_repeated_call_takes_no_token_and_is_counted_once(agent: Agent) -> None:
    first = agent.call("read", {"a": [1, {"b": 2}]}, call_id="c")
    again = agent.call("read", {"a": [1.0, {"b": 2}]}, call_id="c")
    assert (first["decision"], again["decision"]) == ("allow", "allow")
    assert "replayed" not in first
    assert again["replayed"] is True
    assert again["call_id"] == "c"
    shown = agent.look()
    assert (shown["rate"]["hour"]["remaining"], shown["calls"]) == (2, {"read": 1})


def test_the_fourth_repetition_is_a_new_call(agent: Agent) -> None:
    answers = [agent.call("read", call_id="c") for _ in range(6)]
    assert [answer.get("replayed", False) for answer in answers] == [
        False,
        *[True] * 3,
        False,
        True,
    ]
    assert agent.look()["rate"]["hour"]["remaining"] == 1


def test_a_call_that_was_denied_is_denied_again_from_the_same_facts(agent: Agent) -> None:
    for number in range(3):
        agent.call("read", call_id=str(number))
    first, again = (agent.call("read", call_id="late") for _ in range(2))
    assert first["deny_code"] == again["deny_code"] == "RATE_LIMIT_EXCEEDED"
    assert first["reason"] == again["reason"]
    assert again["replayed"] is True
    assert agent.verdict("read", call_id="0") == "allow"


@pytest.mark.parametrize("call_id", ["", None])
def test_calls_without_an_id_are_never_the_same(agent: Agent, call_id: str | None) -> None:
    verdicts = [agent.verdict("read", call_id=call_id) for _ in range(4)]
    assert verdicts == ["allow"] * 3 + ["RATE_LIMIT_EXCEEDED"]


def test_what_the_engine_called_a_call_is_no_repetition_of_it(agent: Agent) -> None:
    made_here = agent.call("read")["call_id"]
    assert "replayed" not in agent.call("read", call_id=made_here)


@pytest.mark.parametrize(
    "other",
    [
        {"tool": MARKED},
        {"call_args": {"a": 2}},
        {"call_args": {"a": True}},
        {"call_args": {}},
        {"mcp_server": "erp"},
        {"mcp_server": None},
    ],
    ids=str,
)
def test_another_call_under_that_id_is_refused_and_told_what_to_do(
    agent: Agent, other: dict[str, Any]
) -> None:
    call = {"tool": "read", "call_args": {"a": 1}, "call_id": "c-1"}
    agent.call(**call)
    answer = agent.answer(**(call | other))
    refused = answer.json
    assert refused["deny_code"] == "REQUEST_INVALID"
    assert (refused["severity"], refused["retry_guidance"]) == ("high", "change_args")
    assert 'call_id "c-1"' in refused["reason"]
    assert "give every other call one of its own" in refused["reason"]
    assert "replayed" not in refused
    assert "ratelimit" not in answer.headers
    assert agent.look()["rate"]["hour"]["remaining"] == 2
    assert agent.call(**call)["replayed"] is True


def test_another_session_may_use_the_same_id(service: Service, agent: Agent) -> None:
    agent.call("read", call_id="c")
    other = service.session(service.role("read"))
    assert "replayed" not in other.call("read", {"x": 1}, call_id="c")


def test_a_revocation_counts_for_a_repeated_call(service: Service, agent: Agent) -> None:
    assert agent.verdict("read", call_id="c") == "allow"
    service.http.simulate_delete(f"/v1/sessions/{agent.session_id}", params={"reason": "stop"})
    denied = agent.call("read", call_id="c")
    assert denied["reason"] == "the session was revoked: stop"


def test_expiry_counts_for_a_repeated_call(service: Service, agent: Agent) -> None:
    assert agent.verdict("read", call_id="c") == "allow"
    service.clock.ahead += 3_601
    denied = agent.call("read", call_id="c")
    assert (denied["deny_code"], denied["replayed"]) == ("SESSION_EXPIRED", True)


def test_a_newer_bundle_decides_a_repeated_call(service: Service, agent: Agent) -> None:
    first = agent.call(MARKED, call_id="c")
    key = server_key(service.services.config.data_dir)
    upload(service.http, make_bundle(key, "1.1.0", denies=True))
    denied = agent.call(MARKED, call_id="c")
    assert (first["decision"], denied["deny_code"]) == ("allow", MARKED_CODE)
    assert denied["replayed"] is True
    assert denied["bundle_generation"] == first["bundle_generation"] + 1
    rolled_back = service.http.simulate_post(f"/mgmt/v1/bundles/rollback/{first['bundle_id']}")
    assert rolled_back.status_code == 200, rolled_back.text
    assert agent.call(MARKED, call_id="c")["decision"] == "allow"
    assert agent.look()["calls"] == {MARKED: 1}


def upload(http: TestClient, data: bytes) -> None:
    answer = http.simulate_post("/mgmt/v1/bundles/upload", body=data)
    assert answer.status_code == 200, answer.text


SENT, REPEATED_MOST = 50, 3


def test_of_fifty_at_once_to_two_processes_every_fourth_is_a_new_call(processes: Pair) -> None:
    wish = {"role_id": create(processes[0], rate_limit_per_hour=60)["id"]}
    made = processes[0].simulate_post("/v1/provision", json=wish).json

    def send(number: int) -> dict[str, Any]:
        call = {"jwt": made["jwt"], "tool_name": "read", "call_args": {"a": 1}, "call_id": "same"}
        answer = processes[number % 2].simulate_post("/v1/enforce", json=call)
        assert answer.status_code == 200
        return dict(answer.json)

    with ThreadPoolExecutor(SENT) as threads:
        answers = list(threads.map(send, range(SENT)))
    assert Counter(answer["decision"] for answer in answers) == {"allow": SENT}
    new = -(-SENT // (1 + REPEATED_MOST))
    assert Counter("replayed" in answer for answer in answers) == {False: new, True: SENT - new}
    shown = processes[1].simulate_get(f"/v1/sessions/{made['session_id']}").json
    assert shown["rate"]["hour"]["remaining"] in (60 - new, 60 - new + 1)
    assert shown["calls"] == {"read": new}
