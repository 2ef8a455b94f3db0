"""Sessions of the published client, unmodified: it ends its own, and is told when another did."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from scopebound import ScopeboundSDK
from scopebound.exceptions import ScopeboundDenyError, ScopeboundUnavailableError

from tests.servers import RunningServer, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("sessions") / "data") as running:
        yield running


@pytest.fixture
def operator(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as http:
        yield http


@pytest.fixture
def agent_key(operator: httpx.Client) -> str:
    """What an agent is given: it may provision and enforce, and end what it provisioned."""
    wish = {"name": str(uuid.uuid4()), "scopes": ["enforce"]}
    return str(operator.post("/mgmt/v1/api-keys", json=wish).json()["api_key"])


@pytest.fixture(params=[False, True], ids=["fail-closed", "fail-open"])
def sdk(
    server: RunningServer, agent_key: str, request: pytest.FixtureRequest
) -> Iterator[ScopeboundSDK]:
    with ScopeboundSDK(server.url, fail_open=request.param, api_key=agent_key) as client:
        yield client


@pytest.fixture
def role(operator: httpx.Client) -> str:
    name = f"agent-{uuid.uuid4()}"
    role = {"name": name, "allowed_tools": ["read", "write"]}
    operator.post("/mgmt/v1/roles", json=role).raise_for_status()
    return name


def session_of(sdk: ScopeboundSDK) -> str:
    """The id of the session that the client has; it has no method that tells."""
    return str(sdk._session_id)


def shown(operator: httpx.Client, session_id: str) -> dict[str, Any]:
    return dict(operator.get(f"/v1/sessions/{session_id}").raise_for_status().json())


def enforced(server: RunningServer, token: str) -> dict[str, Any]:
    """What a call with a token is answered that the client has let go of."""
    with server.client() as http:
        body = {"jwt": token, "tool_name": "read", "call_args": {}}
        return dict(http.post("/v1/enforce", json=body).json())


def denied(call: Callable[[], None]) -> ScopeboundDenyError:
    with pytest.raises(ScopeboundDenyError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("end", ["revoke", "context manager", "close"])
def test_a_client_ends_its_session(
    server: RunningServer, operator: httpx.Client, agent_key: str, role: str, end: str
) -> None:
    sdk = ScopeboundSDK(server.url, api_key=agent_key)
    with sdk if end == "context manager" else ScopeboundSDK(server.url):
        sdk.enforce(role, "read")
        session, token = session_of(sdk), sdk._jwt
        assert shown(operator, session)["status"] == "active"
        if end == "revoke":
            sdk.revoke(reason="task done")
        elif end == "close":
            sdk.close()
    ended = shown(operator, session)
    assert ended["status"] == "revoked"
    assert ended["revoked_reason"] == ("task done" if end == "revoke" else "MANUAL")
    assert enforced(server, token)["deny_code"] == "SESSION_EXPIRED"


def test_after_its_revoke_a_client_goes_on_with_a_new_session(
    sdk: ScopeboundSDK, operator: httpx.Client, role: str
) -> None:
    sdk.enforce(role, "read")
    former = session_of(sdk)
    sdk.revoke()
    sdk.enforce(role, "read")
    assert session_of(sdk) != former
    assert shown(operator, session_of(sdk))["calls"] == {"read": 1}
    sdk.revoke()
    sdk.revoke()  # there is nothing left to end


@pytest.mark.parametrize("what", ["session", "role's sessions"])
def test_the_next_call_of_a_revoked_session_raises_its_denial(
    sdk: ScopeboundSDK, operator: httpx.Client, role: str, what: str
) -> None:
    sdk.enforce(role, "read")
    session = session_of(sdk)
    if what == "session":
        answer = operator.delete(f"/v1/sessions/{session}", params={"reason": "on fire"})
    else:
        role_id = shown(operator, session)["role_id"]
        path = f"/mgmt/v1/roles/{role_id}/revoke-sessions"
        answer = operator.post(path, json={"reason": "on fire"})
    answer.raise_for_status()
    for call in (partial(sdk.enforce, role, "read"), partial(sdk.mcp_enforce, role, "read")):
        denial = denied(call)
        assert (denial.deny_code, denial.severity) == ("SESSION_EXPIRED", "low")
        assert denial.retry_guidance == "none"
        assert "on fire" in denial.reason


def test_a_role_that_is_suspended_ends_calls_and_is_not_provisioned_until_it_is_resumed(
    server: RunningServer, operator: httpx.Client, agent_key: str, role: str
) -> None:
    role_id = operator.get("/mgmt/v1/roles", params={"name": role}).json()["id"]
    with ScopeboundSDK(server.url, api_key=agent_key) as sdk:
        sdk.enforce(role, "read")
        suspend = f"/mgmt/v1/roles/{role_id}/suspend"
        operator.post(suspend, json={"reason": "audit"}).raise_for_status()
        denial = denied(lambda: sdk.enforce(role, "read"))
        assert denial.deny_code == "SESSION_EXPIRED"
        assert "audit" in denial.reason
        for name in (role, role_id):
            with pytest.raises(ScopeboundUnavailableError, match="409"):
                sdk.provision(name)
        operator.post(f"/mgmt/v1/roles/{role_id}/resume").raise_for_status()
        sdk.enforce(role, "read")


def test_a_call_id_comes_again_from_the_client_and_not_with_other_arguments(
    sdk: ScopeboundSDK, operator: httpx.Client, role: str
) -> None:
    for _ in range(3):
        sdk.enforce(role, "read", {"path": "a"}, call_id="one")
    denial = denied(lambda: sdk.enforce(role, "read", {"path": "b"}, call_id="one"))
    assert (denial.deny_code, denial.retry_guidance) == ("REQUEST_INVALID", "change_args")
    assert shown(operator, session_of(sdk))["calls"] == {"read": 1}


def test_calls_without_an_id_are_calls_of_their_own(
    sdk: ScopeboundSDK, operator: httpx.Client, role: str
) -> None:
    for _ in range(3):
        sdk.enforce(role, "read")
    assert shown(operator, session_of(sdk))["calls"] == {"read": 3}
