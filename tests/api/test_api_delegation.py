"""Sub-agents through the API: who may spawn a session, what it gets, and how a refusal reads."""

import base64
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import Result, TestClient

from scopebound_engine.api.app import create_app
from scopebound_engine.config import Config
from scopebound_engine.wiring import build_services
from tests.api.pair import ENDPOINTS, ROLES, Pair, create, decide
from tests.bundles import bundle_files, packed, server_key
from tests.description import assert_valid, schema_of
from tests.servers import API_KEY, make_prepared

SESSIONS = "/v1/sessions"
NOWHERE = "00000000-0000-4000-8000-000000000000"


def ask(http: TestClient, role: dict[str, Any], parent: str | None = None, **more: Any) -> Result:
    headers = more.pop("headers", None)
    wish = {"role_id": role["id"], "parent_session_id": parent, **more}
    return http.simulate_post("/v1/provision", json=wish, headers=headers)


def provision(
    http: TestClient, role: dict[str, Any], parent: str | None = None, **more: Any
) -> dict[str, Any]:
    answer = ask(http, role, parent, **more)
    assert answer.status_code == 200, answer.text
    assert answer.json.keys() == {"jwt", "session_id", "expires_at"}
    return dict(answer.json)


def refused(answer: Result, code: str, guidance: str = "none") -> dict[str, Any]:
    """The problem of a refused delegation, as it is described."""
    assert answer.status_code == 403, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = dict(answer.json)
    assert_valid(schema_of("RefusedDelegation"), problem)
    assert problem["type"] == "urn:scopebound:problem:delegation-refused"
    assert (problem["deny_code"], problem["retry_guidance"]) == (code, guidance)
    assert problem["violations"][0]["code"] == code
    assert problem["detail"] == problem["reason"]
    assert problem["instance"] == problem["call_id"] == answer.headers["x-request-id"]
    return problem


def claims(session: dict[str, Any]) -> dict[str, Any]:
    payload = session["jwt"].split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def new_key(http: TestClient, *scopes: str) -> dict[str, str]:
    """The header that carries a new API key."""
    wish = {"name": str(uuid.uuid4()), "scopes": list(scopes)}
    made = http.simulate_post("/mgmt/v1/api-keys", json=wish)
    return {"X-Scopebound-API-Key": made.json["api_key"]}


def revoke(http: TestClient, session: dict[str, Any]) -> int:
    answer = http.simulate_delete(f"{SESSIONS}/{session['session_id']}", params={"reason": "stop"})
    assert answer.status_code == 200, answer.text
    return int(answer.json["sessions_ended"])


def test_a_chain_goes_as_deep_as_its_root_allows_and_no_deeper(processes: Pair) -> None:
    role = create(processes[0], max_delegation_depth=3)
    chain = [provision(processes[0], role)]
    for number in range(3):
        chain.append(provision(processes[number % 2], role, chain[-1]["session_id"]))
    depths = [claims(session)["delegation_depth_remaining"] for session in chain]
    assert depths == [3, 2, 1, 0]
    for process in processes:
        problem = refused(ask(process, role, chain[-1]["session_id"]), "DELEGATION_DEPTH_EXCEEDED")
        assert problem["severity"] == "critical"
        for session, path in zip(chain, ENDPOINTS * 2, strict=True):
            assert decide(process, session["jwt"], path)["decision"] == "allow"


def test_a_role_without_depth_spawns_nothing(processes: Pair) -> None:
    root = provision(processes[0], create(processes[0]))
    helper = create(processes[0], max_delegation_depth=5)
    refused(ask(processes[1], helper, root["session_id"]), "DELEGATION_DEPTH_EXCEEDED")


def test_a_child_of_a_role_with_less_depth_goes_less_deep(processes: Pair) -> None:
    role = create(processes[0], max_delegation_depth=5)
    shallow = create(processes[0], max_delegation_depth=1)
    child = provision(processes[0], shallow, provision(processes[0], role)["session_id"])
    grandchild = provision(processes[1], role, child["session_id"])
    refused(ask(processes[0], role, grandchild["session_id"]), "DELEGATION_DEPTH_EXCEEDED")


def test_a_child_that_asks_for_more_time_than_its_parent_has_ends_with_it(
    processes: Pair,
) -> None:
    role = create(processes[0], max_delegation_depth=1, default_ttl_seconds=3600)
    root = provision(processes[0], role, requested_ttl=120)
    for more in ({}, {"requested_ttl": 3600}, {"requested_ttl": 0}):
        child = provision(processes[1], role, root["session_id"], **more)
        assert child["expires_at"] == root["expires_at"]
    shorter = provision(processes[1], role, root["session_id"], requested_ttl=60)
    assert shorter["expires_at"] < root["expires_at"]


def test_a_child_may_do_what_its_own_role_says(processes: Pair) -> None:
    root = provision(processes[0], create(processes[0], max_delegation_depth=1))
    writer = create(processes[0], allowed_tools=["write"])
    child = provision(processes[1], writer, root["session_id"])
    assert decide(processes[0], child["jwt"])["deny_code"] == "SCOPE_VIOLATION"


def test_a_revoked_parent_spawns_nothing_on_any_process(processes: Pair) -> None:
    role = create(processes[0], max_delegation_depth=2)
    root = provision(processes[0], role)
    child = provision(processes[1], role, root["session_id"])
    assert revoke(processes[1], root) == 2
    for process in processes:
        for session in (root, child):
            problem = refused(ask(process, role, session["session_id"]), "SESSION_EXPIRED")
            assert problem["reason"] == "the session was revoked: stop"


def test_a_parent_of_a_suspended_or_deleted_role_spawns_nothing(processes: Pair) -> None:
    role, helper = create(processes[0], max_delegation_depth=1), create(processes[0])
    root = provision(processes[0], role)
    place = f"{ROLES}/{role['id']}"
    processes[0].simulate_post(f"{place}/suspend", json={"reason": "key leaked"})
    problem = refused(ask(processes[1], helper, root["session_id"]), "SESSION_EXPIRED")
    assert "role suspended: key leaked" in problem["reason"]
    processes[0].simulate_post(f"{place}/resume")
    provision(processes[1], helper, root["session_id"])
    processes[1].simulate_delete(place)
    problem = refused(ask(processes[0], helper, root["session_id"]), "SESSION_EXPIRED")
    assert "role deleted" in problem["reason"]


def test_a_suspended_role_is_not_spawned_either(processes: Pair) -> None:
    role, helper = create(processes[0], max_delegation_depth=1), create(processes[0])
    root = provision(processes[0], role)
    processes[0].simulate_post(f"{ROLES}/{helper['id']}/suspend")
    assert ask(processes[1], helper, root["session_id"]).status_code == 409


def test_the_parent_of_another_key_is_refused_as_if_there_were_none(processes: Pair) -> None:
    role = create(processes[0], max_delegation_depth=1)
    one, other = (new_key(processes[0], "enforce") for _ in range(2))
    root = provision(processes[0], role, headers=one)
    told = [
        refused(ask(processes[1], role, parent, headers=other), "SESSION_EXPIRED")
        for parent in (root["session_id"], NOWHERE, "no session")
    ]
    varying = ("instance", "call_id", "decision_id", "latency_ms")
    assert [p | dict.fromkeys(varying) for p in told] == [told[0] | dict.fromkeys(varying)] * 3
    for headers in (one, new_key(processes[0], "enforce", "roles"), None):
        provision(processes[1], role, root["session_id"], headers=headers)


def test_a_session_shows_its_children(processes: Pair) -> None:
    role = create(processes[0], max_delegation_depth=2)
    root = provision(processes[0], role)
    child = provision(processes[1], role, root["session_id"])
    provision(processes[0], role, child["session_id"])
    shown = processes[1].simulate_get(f"{SESSIONS}/{root['session_id']}").json
    [listed] = shown["children"]
    assert (listed["session_id"], listed["status"]) == (child["session_id"], "active")
    shown = processes[0].simulate_get(f"{SESSIONS}/{child['session_id']}").json
    assert (shown["parent_session_id"], shown["root_session_id"]) == (root["session_id"],) * 2
    assert shown["delegation_depth_remaining"] == 1
    assert len(shown["children"]) == 1


class Alone:
    """One process whose clock a test sets, and a way to put bundles in force."""

    def __init__(self, folder: Path) -> None:
        make_prepared(folder)
        self.folder, self.ahead = folder, 0.0
        config = Config.model_validate({"data_dir": folder, "bootstrap_api_key": API_KEY})
        self.services = build_services(config, lambda: time.time() + self.ahead)
        key = {"X-Scopebound-API-Key": API_KEY}
        self.http = TestClient(create_app(self.services), headers=key)

    def attenuate(self, version: str, setting: bool) -> None:
        files = bundle_files(version, denies=False)
        place = "scopebound/config/data.json"
        data = json.loads(files[place])
        data["delegation"]["attenuate"] = setting
        files[place] = json.dumps(data).encode()
        bundle = packed(server_key(self.folder), files)
        answer = self.http.simulate_post("/mgmt/v1/bundles/upload", body=bundle)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    made = Alone(tmp_path / "data")
    yield made
    made.services.close()


def test_an_expired_parent_spawns_nothing(alone: Alone) -> None:
    role = create(alone.http, max_delegation_depth=1, default_ttl_seconds=600)
    root = provision(alone.http, role)
    alone.ahead = 598
    provision(alone.http, role, root["session_id"])
    alone.ahead = 600
    problem = refused(ask(alone.http, role, root["session_id"]), "SESSION_EXPIRED", "reprovision")
    assert "expired at" in problem["reason"]
    alone.ahead = 3 * 86_400
    alone.services.sessions.forget()
    refused(ask(alone.http, role, root["session_id"]), "SESSION_EXPIRED", "reprovision")


def test_with_attenuation_in_the_bundles_data_a_child_has_no_tool_that_its_parent_lacks(
    alone: Alone,
) -> None:
    role = create(alone.http, max_delegation_depth=9, allowed_tools=["read", "list"])
    wider = create(alone.http, max_delegation_depth=9, allowed_tools=["read", "purge"])
    narrower = create(alone.http, max_delegation_depth=9, allowed_tools=["read"])
    root = provision(alone.http, role)["session_id"]
    provision(alone.http, wider, root)
    alone.attenuate("1.0.1", True)
    problem = refused(ask(alone.http, wider, root), "DELEGATION_SCOPE_EXCEEDED")
    assert (problem["severity"], problem["bundle_version"]) == ("critical", "1.0.1")
    assert '"purge"' in problem["reason"]
    for child in (role, narrower):
        provision(alone.http, child, root)
    alone.attenuate("1.0.2", False)
    provision(alone.http, wider, root)
