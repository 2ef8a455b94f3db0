"""Looking at sessions, ending them, and what an end means for every process at once."""

import uuid
from typing import Any

import pytest
from falcon.testing import TestClient

from tests.api.pair import ROLES, Pair, create, decide

SESSIONS = "/v1/sessions"
KEYS = "/mgmt/v1/api-keys"


def provision(http: TestClient, role: dict[str, Any]) -> dict[str, Any]:
    return dict(http.simulate_post("/v1/provision", json={"role_id": role["id"]}).json)


def look(http: TestClient, session_id: str) -> dict[str, Any]:
    answer = http.simulate_get(f"{SESSIONS}/{session_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def caller(http: TestClient, *scopes: str) -> tuple[str, dict[str, str]]:
    """A new API key's id, and the header that carries it."""
    wish = {"name": str(uuid.uuid4()), "scopes": list(scopes)}
    made = http.simulate_post(KEYS, json=wish).json
    return made["id"], {"X-Scopebound-API-Key": made["api_key"]}


def test_a_session_is_shown_with_what_is_left_and_what_it_did(processes: Pair) -> None:
    here, there = processes
    role = create(here, rate_limit_per_minute=5, allowed_tools=["read", "list"])
    made = provision(here, role)
    for _ in range(2):
        assert decide(there, made["jwt"])["decision"] == "allow"
    shown = look(here, made["session_id"])
    assert shown["session_id"] == shown["root_session_id"] == made["session_id"]
    assert shown["expires_at"] == made["expires_at"]
    assert shown["status"] == "active"
    assert (shown["role"], shown["role_revision"]) == (role["name"], 1)
    assert shown["rate"]["minute"] == {"limit": 5, "remaining": 3, "retry_after_seconds": 0}
    assert shown["rate"]["hour"]["limit"] == 0
    assert shown["calls"] == {"read": 2}
    assert shown["drift"] == {
        "ready": False,
        "log_evidence": 0.0,
        "latched": False,
        "calls": 2,
        "baseline_sessions": 0,
    }
    assert shown["children"] == []
    assert look(there, made["session_id"])["rate"]["minute"]["remaining"] == 3


def test_a_revoked_session_is_denied_everywhere_and_says_why(processes: Pair) -> None:
    here, there = processes
    made = provision(here, create(here))
    assert decide(there, made["jwt"])["decision"] == "allow"
    answer = here.simulate_delete(f"{SESSIONS}/{made['session_id']}", params={"reason": "MANUAL"})
    assert answer.json == {
        "revoked": True,
        "session_id": made["session_id"],
        "reason": "MANUAL",
        "sessions_ended": 1,
    }
    for process in processes:
        denial = decide(process, made["jwt"])
        assert denial["deny_code"] == "SESSION_EXPIRED"
        assert denial["reason"] == "the session was revoked: MANUAL"
        assert denial["retry_guidance"] == "none"
    shown = look(there, made["session_id"])
    assert (shown["status"], shown["revoked_reason"]) == ("revoked", "MANUAL")
    again = there.simulate_delete(f"{SESSIONS}/{made['session_id']}")
    assert (again.status_code, again.json["sessions_ended"]) == (200, 0)


def test_the_sessions_of_a_role_end_together_and_new_ones_may_be_made(processes: Pair) -> None:
    here, there = processes
    role, other = create(here), create(here)
    ended = [provision(process, role)["jwt"] for process in (here, there, here)]
    spared = provision(here, other)["jwt"]
    answer = here.simulate_post(
        f"{ROLES}/{role['id']}/revoke-sessions", json={"reason": "key leaked"}
    )
    assert answer.json == {"id": role["id"], "name": role["name"], "sessions_ended": 3}
    for jwt in ended:
        assert decide(there, jwt)["reason"] == "the session was revoked: key leaked"
    assert decide(there, spared)["decision"] == "allow"
    assert decide(there, provision(there, role)["jwt"])["decision"] == "allow"


def test_the_sessions_that_a_key_made_end_with_it(processes: Pair) -> None:
    here, there = processes
    role = create(here)
    key_id, header = caller(here, "enforce")
    wish = {"role_id": role["id"]}
    jwt = there.simulate_post("/v1/provision", json=wish, headers=header).json["jwt"]
    mine = provision(here, role)["jwt"]
    assert decide(here, jwt)["decision"] == "allow"
    assert here.simulate_delete(f"{KEYS}/{key_id}").status_code == 200
    denial = decide(there, jwt)
    assert denial["reason"] == "the session was revoked: the API key that made it was revoked"
    assert decide(there, mine)["decision"] == "allow"


def test_an_update_of_a_role_counts_the_sessions_that_keep_the_former_claims(
    processes: Pair,
) -> None:
    here, there = processes
    parent = create(here)
    child = create(here, parent_role_id=parent["id"])
    kept = [provision(there, role) for role in (parent, child, child)]
    gone = provision(here, child)["session_id"]
    here.simulate_delete(f"{SESSIONS}/{gone}")
    changed = here.simulate_put(f"{ROLES}/{parent['id']}", json={"allowed_tools": ["write"]}).json
    assert changed["sessions_with_former_claims"] == len(kept)
    assert decide(here, kept[0]["jwt"])["decision"] == "allow"
    own = here.simulate_put(f"{ROLES}/{child['id']}", json={"description": "x"}).json
    assert own["sessions_with_former_claims"] == 2


def test_a_key_sees_and_ends_only_what_it_made_unless_it_may_do_more(processes: Pair) -> None:
    here, _ = processes
    role = create(here)
    _, mine = caller(here, "enforce")
    _, other = caller(here, "enforce")
    _, auditor = caller(here, "audit")
    made = here.simulate_post("/v1/provision", json={"role_id": role["id"]}, headers=mine).json
    path = f"{SESSIONS}/{made['session_id']}"
    assert here.simulate_get(path, headers=mine).status_code == 200
    assert here.simulate_get(path, headers=auditor).status_code == 200
    assert here.simulate_get(path, headers=other).status_code == 404
    assert here.simulate_delete(path, headers=other).status_code == 404
    assert here.simulate_delete(path, headers=auditor).status_code == 403
    assert here.simulate_post(f"{path}/clear-drift", headers=mine).status_code == 403
    assert decide(here, made["jwt"])["decision"] == "allow"
    assert here.simulate_delete(path, headers=mine).status_code == 200


def test_clearing_drift_lets_the_counts_begin_anew(processes: Pair) -> None:
    here, there = processes
    made = provision(here, create(here))
    decide(here, made["jwt"])
    answer = there.simulate_post(f"{SESSIONS}/{made['session_id']}/clear-drift")
    assert answer.status_code == 200
    assert answer.json["calls"] == {}
    assert "children" not in answer.json
    assert look(here, made["session_id"])["drift"]["calls"] == 0


@pytest.mark.parametrize("session_id", [str(uuid.UUID(int=7)), "no-session", "%00"])
def test_an_unknown_session_is_not_found(processes: Pair, session_id: str) -> None:
    here, _ = processes
    path = f"{SESSIONS}/{session_id}"
    answers = [
        here.simulate_get(path),
        here.simulate_delete(path),
        here.simulate_post(f"{path}/clear-drift"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 3


def test_a_reason_is_text_that_people_can_read(processes: Pair) -> None:
    here, _ = processes
    made = provision(here, create(here))
    for reason in ("x" * 501, "two\nlines"):
        answer = here.simulate_delete(f"{SESSIONS}/{made['session_id']}", params={"reason": reason})
        assert (answer.status_code, answer.json["field"]) == (400, "reason")
    assert here.simulate_get(f"{SESSIONS}/{made['session_id']}?x=1").status_code == 400
    assert decide(here, made["jwt"])["decision"] == "allow"
