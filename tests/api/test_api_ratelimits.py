"""Limits as agents meet them: header fields, the MCP server's own limit, and what a denial says."""

import base64
import re

import pytest
from falcon.testing import Result

from scopebound_engine.api.ratelimits import fields
from scopebound_engine.session.state.seam import UNLIMITED, Entry, SessionFacts, Window
from tests.api.clocked import Agent, Service

ENTRY = Entry("s", "r", 30, 500)
HOUR = Window(500, True, 498, 0)
# One member of a List of Structured Fields (RFC 9651): a String with Integers and Byte Sequences.
MEMBER = r'"[a-z]+"(?:;[a-z]+=(?:\d{1,15}|:[A-Za-z0-9+/=]*:))+'


def test_both_windows_of_a_session() -> None:
    assert fields(ENTRY, SessionFacts(Window(30, True, 28, 0), HOUR)) == {
        "RateLimit-Policy": '"minute";q=30;w=60, "hour";q=500;w=3600',
        "RateLimit": '"minute";r=28;t=2, "hour";r=498;t=8',
    }


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (Window(30, False, 0, 1), "r=0;t=1"),
        (Window(1, False, 0, 59), "r=0;t=59"),
        (Window(1, True, 0, 0), "r=0;t=60"),
        (Window(7, True, 3, 0), "r=3;t=9"),
        (Window(1_000_000_000, True, 999_999_999, 0), "r=999999999;t=1"),
        (Window(5, True, 5, 0), "r=5"),
    ],
)
def test_when_there_is_more(found: Window, left: str) -> None:
    assert fields(ENTRY, SessionFacts(found, UNLIMITED))["RateLimit"] == f'"minute";{left}'


def test_a_window_without_a_limit_is_not_spoken_of() -> None:
    assert fields(ENTRY, SessionFacts(UNLIMITED, UNLIMITED)) == {}
    assert '"minute"' not in fields(ENTRY, SessionFacts(UNLIMITED, HOUR))["RateLimit-Policy"]


@pytest.mark.parametrize("server", ["files", "Dateien ä", 'x"; , y', "a\r\nb: c"])
def test_the_server_is_named_whatever_it_is_called(server: str) -> None:
    entry = Entry("s", "r", 0, 0, server=server, per_server=60)
    found = fields(entry, SessionFacts(UNLIMITED, UNLIMITED, Window(60, True, 59, 0)))
    name = base64.b64encode(server.encode()).decode()
    assert found == {
        "RateLimit-Policy": f'"server";q=60;w=60;pk=:{name}:',
        "RateLimit": f'"server";r=59;t=1;pk=:{name}:',
    }
    assert all(re.fullmatch(MEMBER, field) for field in found.values())


@pytest.mark.parametrize("session", [{"replayed": 1}, {"conflict": True}])
def test_what_is_left_is_not_known_to_a_call_that_came_before(session: dict[str, int]) -> None:
    found = fields(ENTRY, SessionFacts(Window(30, True, 28, 0), HOUR, **session))  # type: ignore[arg-type]
    assert set(found) == {"RateLimit-Policy"}


def limits(answer: Result) -> tuple[str | None, str | None]:
    for name in ("ratelimit-policy", "ratelimit"):
        for member in answer.headers.get(name, '"x";r=0').split(", "):
            assert re.fullmatch(MEMBER, member)
    return answer.headers.get("ratelimit-policy"), answer.headers.get("ratelimit")


def test_answers_say_what_is_left(service: Service) -> None:
    role = service.role("read", rate_limit_per_minute=2, rate_limit_per_hour=60)
    agent, policy = service.session(role), '"minute";q=2;w=60, "hour";q=60;w=3600'
    assert limits(agent.answer("read")) == (policy, '"minute";r=1;t=30, "hour";r=59;t=60')
    denied = agent.answer("drop")
    assert denied.json["deny_code"] == "SCOPE_VIOLATION"
    assert limits(denied) == (policy, '"minute";r=0;t=30, "hour";r=58;t=60')


def test_a_denial_says_which_window_is_empty_and_when_it_is_not(service: Service) -> None:
    agent = service.session(service.role("read", rate_limit_per_minute=1, rate_limit_per_hour=9))
    agent.call("read")
    answer = agent.answer("read")
    denied = answer.json
    wait = denied["retry_after_seconds"]
    assert denied["deny_code"] == "RATE_LIMIT_EXCEEDED"
    assert 50 <= wait <= 60
    assert denied["reason"] == f"the limit of 1 calls per minute is used up; wait {wait} s"
    assert limits(answer)[1] == f'"minute";r=0;t={wait}, "hour";r=8;t=400'


def test_answers_without_limits_or_without_a_session_have_no_fields(service: Service) -> None:
    free = service.session(service.role("read"))
    forged = Agent(service, free.session_id, free.jwt[:-8] + "AAAAAAAA")
    unfit = free.answer("read\n")
    assert unfit.json["deny_code"] == "REQUEST_INVALID"
    for answer in (free.answer("read"), forged.answer("read"), unfit):
        assert limits(answer) == (None, None)


@pytest.fixture
def limited(service: Service) -> Agent:
    """Two calls a minute to one MCP server."""
    role = service.role("read", mcp_server_rate_limits={"erp": 2}, rate_limit_per_hour=30)
    return service.session(role)


def test_a_server_has_its_own_limit(limited: Agent) -> None:
    assert [limited.verdict("read", mcp_server="erp") for _ in range(2)] == ["allow"] * 2
    denied = limited.call("read", mcp_server="erp")
    wait = denied["retry_after_seconds"]
    assert (denied["deny_code"], denied["retry_guidance"]) == ("RATE_LIMIT_EXCEEDED", "wait")
    assert 20 <= wait <= 30
    assert denied["reason"] == (
        f'the limit of 2 calls per minute to the MCP server "erp" is used up; wait {wait} s'
    )
    assert limited.look()["rate"]["hour"]["remaining"] == 28
    for elsewhere in ({"mcp_server": "crm"}, {"mcp_server": None}, {}):
        assert limited.verdict("read", **elsewhere) == "allow"
    assert limited.look()["rate"]["hour"]["remaining"] == 25


def test_the_limit_is_of_the_mcp_endpoint(service: Service, limited: Agent) -> None:
    call = {"jwt": limited.jwt, "tool_name": "read", "call_args": {}, "mcp_server": "erp"}
    for _ in range(4):
        answer = service.http.simulate_post("/v1/enforce", json=call)
        assert answer.json["decision"] == "allow"


def test_a_server_is_limited_for_each_session(service: Service) -> None:
    role = service.role("read", mcp_server_rate_limits={"erp": 1})
    for _ in range(2):
        agent = service.session(role)
        verdicts = [agent.verdict("read", mcp_server="erp") for _ in range(2)]
        assert verdicts == ["allow", "RATE_LIMIT_EXCEEDED"]


def test_what_is_left_of_a_servers_limit_is_said(limited: Agent) -> None:
    policy, left = limits(limited.answer("read", mcp_server="erp"))
    assert policy == '"hour";q=30;w=3600, "server";q=2;w=60;pk=:ZXJw:'
    assert left == '"hour";r=29;t=120, "server";r=1;t=30;pk=:ZXJw:'
    assert limits(limited.answer("read", mcp_server="crm"))[0] == '"hour";q=30;w=3600'
