"""A record says how its request came, what it carried along and whether its answer was late."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from scopebound_engine import logs
from scopebound_engine.cli.connections import TimedSocket
from tests.api.clocked import Agent, Service
from tests.api.recorded import call, post, recording, with_parts
from tests.recording import Record

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


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
