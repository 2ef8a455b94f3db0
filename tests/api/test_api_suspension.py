"""What a suspended or deleted role means for its sessions, seen by every process at once."""

import itertools
import threading
import time
from typing import Any

import httpx
import pytest
from falcon.testing import TestClient
from scopebound import ScopeboundSDK
from scopebound.exceptions import ScopeboundDenyError

from tests.api.pair import ADMIN, ENDPOINTS, ROLES, Pair, create, decide, session


def suspend(http: TestClient, role: dict[str, Any], **body: str) -> None:
    assert http.simulate_post(f"{ROLES}/{role['id']}/suspend", json=body).status_code == 200


def resume(http: TestClient, role: dict[str, Any]) -> None:
    assert http.simulate_post(f"{ROLES}/{role['id']}/resume").status_code == 200


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("limit", [0, 100])
def test_live_sessions_of_a_suspended_role_are_denied_everywhere_until_it_is_resumed(
    processes: Pair, path: str, limit: int
) -> None:
    role = create(processes[0], rate_limit_per_minute=limit)
    tokens = [session(http, role) for http in processes]
    pairs = list(itertools.product(processes, tokens))
    assert {decide(http, jwt, path)["decision"] for http, jwt in pairs} == {"allow"}
    suspend(processes[0], role, reason="key leaked")
    for http, jwt in pairs:
        denied = decide(http, jwt, path)
        assert (denied["decision"], denied["deny_code"]) == ("deny", "SESSION_EXPIRED")
        assert denied["reason"] == "the session was revoked: role suspended: key leaked"
        assert denied["retry_guidance"] == "none"
    resume(processes[1], role)
    assert {decide(http, jwt, path)["decision"] for http, jwt in pairs} == {"allow"}


def test_a_suspended_role_is_not_provisioned(processes: Pair) -> None:
    role = create(processes[0])
    suspend(processes[1], role, reason="key leaked")
    for http, name in itertools.product(processes, (role["id"], role["name"])):
        refused = http.simulate_post("/v1/provision", json={"role_id": name})
        assert refused.status_code == 409
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json["type"] == "urn:scopebound:problem:conflict"
        assert "key leaked" in refused.json["detail"]
        assert f"{ROLES}/{role['id']}/resume" in refused.json["detail"]
    resume(processes[0], role)
    assert decide(processes[1], session(processes[0], role))["decision"] == "allow"


def test_live_sessions_of_a_deleted_role_are_denied_even_if_its_name_comes_back(
    processes: Pair,
) -> None:
    role = create(processes[0])
    jwt = session(processes[0], role)
    assert decide(processes[1], jwt)["decision"] == "allow"
    assert processes[1].simulate_delete(f"{ROLES}/{role['id']}").status_code == 200
    create(processes[0], name=role["name"])
    for http in processes:
        denied = decide(http, jwt)
        assert (denied["deny_code"], denied["retry_guidance"]) == ("SESSION_EXPIRED", "none")
        assert denied["reason"] == "the session was revoked: role deleted"


def test_sessions_of_children_and_of_other_roles_go_on(processes: Pair) -> None:
    parent = create(processes[0])
    others = [create(processes[0], parent_role_id=parent["id"]), create(processes[0])]
    tokens = [session(processes[0], role) for role in others]
    suspend(processes[0], parent)
    for jwt in [*tokens, *(session(processes[1], role) for role in others)]:
        assert decide(processes[1], jwt)["decision"] == "allow"


def test_no_call_that_begins_after_the_answer_is_allowed(processes: Pair) -> None:
    role = create(processes[0], rate_limit_per_minute=1_000_000)
    jwt = session(processes[0], role)
    calls: list[tuple[float, float, str]] = []
    done = threading.Event()

    def keep_calling(http: TestClient) -> None:
        while not done.is_set():
            began = time.monotonic()
            decision = decide(http, jwt)["decision"]
            calls.append((began, time.monotonic(), decision))

    threads = [threading.Thread(target=keep_calling, args=(http,)) for http in processes]
    for thread in threads:
        thread.start()
    for _ in range(5):
        time.sleep(0.1)
        suspend(processes[0], role)
        suspended = time.monotonic()
        time.sleep(0.1)
        resumed = time.monotonic()
        resume(processes[0], role)
        within = [call for call in calls if suspended <= call[0] and call[1] <= resumed]
        assert {decision for _, _, decision in within} <= {"deny"}
    done.set()
    for thread in threads:
        thread.join()
    assert {decision for _, _, decision in calls} == {"allow", "deny"}


def test_the_published_client_is_denied_too(processes: Pair) -> None:
    role = create(processes[0])
    sdk = ScopeboundSDK(base_url="http://engine", api_key=ADMIN, fail_open=True)
    sdk._client = httpx.Client(
        base_url="http://engine",
        transport=httpx.WSGITransport(processes[1].app),
        headers={"X-Scopebound-API-Key": ADMIN},
    )
    assert sdk.enforce(role["name"], "read") is None
    suspend(processes[0], role, reason="key leaked")
    with pytest.raises(ScopeboundDenyError) as denied:
        sdk.enforce(role["name"], "read")
    assert (denied.value.deny_code, denied.value.retry_guidance) == ("SESSION_EXPIRED", "none")
