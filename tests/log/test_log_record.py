"""What a record says of a decision, and what it keeps to itself."""

import base64
import json
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest

from scopebound_engine.decision.active import BundleRef
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import (
    Decision,
    Stages,
    jwt_invalid,
    policy_error,
    request_invalid,
)
from scopebound_engine.log.record import Asked, event_of, new_id, of_decision, opening
from scopebound_engine.masking import Masks, pointers
from scopebound_engine.session.state.seam import UNLIMITED, SessionFacts
from scopebound_engine.verdict import ALLOW, Verdict, Violation

KEY = bytes(32)
AT_US = 1_777_464_000_123_456
CLAIMS: dict[str, Any] = {
    "sub": "agent:r-1",
    "jti": "s-1",
    "role": "clerk",
    "role_id": "r-1",
    "parent_session_id": "s-0",
    "root_session_id": "s-0",
    "bound": {"role_revision": 4, "log_mask": ["/call_args/iban"]},
}
CALL = Call("tool_call", "pay", {"iban": "DE1", "amount": 5}, "c-1")
BUNDLE = BundleRef("b-1", "1.2.0", "ab" * 32, 3)
DENIED = Verdict(False, (Violation("TOO_MUCH", "high", "DE1 is too much", "wait", 7),))


def facts(**changes: Any) -> dict[str, Any]:
    return {"tool_name": "pay", "call_args": CALL.call_args, "constraints": []} | changes


def decided(verdict: Verdict = ALLOW, **parts: Any) -> Decision:
    given: dict[str, Any] = {"call": CALL, "claims": CLAIMS, "kid": "k-1", "facts": facts()}
    return Decision(verdict, BUNDLE, Stages(0.001, 0.002, 0.003, 0.004), **(given | parts))


def asked(action: Any = "tool_call", **more: Any) -> Asked:
    return Asked(action, "c-1", time.monotonic() - 0.5, {"id": "q-1"}, **more)


def recorded(decision: Decision, mask: str = "", **more: Any) -> dict[str, Any]:
    return of_decision(decision, asked(**more), Masks(KEY, pointers(mask)))


def plain(**parts: Any) -> Decision:
    return decided(claims=CLAIMS | {"bound": {}}, **parts)


def test_an_id_is_a_uuid_of_version_7_that_sorts_by_its_time() -> None:
    made = uuid.UUID(new_id(AT_US))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == AT_US // 1000
    assert len({new_id(AT_US) for _ in range(1000)}) == 1000
    assert new_id(AT_US) < new_id(AT_US + 1000)


def test_every_record_says_when_and_where() -> None:
    record = opening("role.created", "node-1", AT_US)
    assert record.pop("id") != opening("role.created", "node-1", AT_US)["id"]
    assert record.pop("engine")
    assert record == {
        "at": "2026-04-29T12:00:00.123456Z",
        "at_us": AT_US,
        "event": "role.created",
        "node": "node-1",
    }


def test_microseconds_are_written_out() -> None:
    assert opening("e", "n", 1_777_464_000_000_000)["at"] == "2026-04-29T12:00:00.000000Z"


def test_an_allow_says_all_it_takes_to_decide_again() -> None:
    fields = recorded(plain())
    latency = fields.pop("latency_ms")
    assert {name: latency[name] for name in ("token", "state", "facts", "policy")} == {
        "token": 1.0,
        "state": 2.0,
        "facts": 3.0,
        "policy": 4.0,
    }
    assert 500 <= latency["total"] < 10_000
    assert fields == {
        "request": {"id": "q-1"},
        "call_id": "c-1",
        "tool_name": "pay",
        "agent": "agent:r-1",
        "role": {"id": "r-1", "name": "clerk"},
        "session": {"id": "s-1", "jti": "s-1", "kid": "k-1", "parent": "s-0", "root": "s-0"},
        "decision": "allow",
        "bundle": {"id": "b-1", "version": "1.2.0", "checksum": "ab" * 32, "generation": 3},
        "input": facts(),
        "reproducible": True,
    }


def test_a_denial_names_every_violation() -> None:
    fields = recorded(plain(verdict=DENIED))
    assert (fields["decision"], fields["deny_code"]) == ("deny", "TOO_MUCH")
    assert fields["violations"] == [
        {
            "code": "TOO_MUCH",
            "severity": "high",
            "reason": "DE1 is too much",
            "retry_guidance": "wait",
            "retry_after_seconds": 7,
        }
    ]


def test_a_violation_says_which_rules_may_have_found_it() -> None:
    origins = {"TOO_MUCH": ("a.rego:3", "b.rego:7"), "OTHER": ("c.rego:1",)}
    asked = iter([origins])  # once, since who asks may have to wait
    bundle = replace(BUNDLE, origins=lambda: next(asked))
    fields = recorded(replace(plain(verdict=DENIED), bundle=bundle))
    assert fields["violations"][0]["rules"] == ["a.rego:3", "b.rego:7"]


def test_the_roles_revision_and_the_mcp_server_are_named() -> None:
    call = Call("mcp_tool_call", "pay", {}, "c-1", mcp_server="erp")
    fields = recorded(decided(call=call), action="mcp_tool_call")
    assert fields["role"] == {"id": "r-1", "name": "clerk", "revision": 4}
    assert fields["mcp_server"] == "erp"


@pytest.mark.parametrize(
    ("action", "verdict", "replayed", "event"),
    [
        ("tool_call", ALLOW, 0, "tool_call.allow"),
        ("tool_call", DENIED, 0, "tool_call.deny"),
        ("mcp_tool_call", ALLOW, 0, "mcp_tool_call.allow"),
        ("mcp_tool_call", DENIED, 1, "mcp_tool_call.replay"),
        ("tool_call", ALLOW, 3, "tool_call.replay"),
        ("delegate", ALLOW, 0, "delegation.allow"),
        ("delegate", DENIED, 0, "delegation.deny"),
    ],
)
def test_the_event_says_what_was_asked_and_answered(
    action: Any, verdict: Verdict, replayed: int, event: str
) -> None:
    session = SessionFacts(UNLIMITED, UNLIMITED, replayed=replayed)
    assert event_of(decided(verdict, session=session), action) == event


def test_constraints_without_a_value_were_skipped_unless_one_was_required() -> None:
    constraints = [
        {"field": "a", "required": False, "present": False},
        {"field": "b", "required": True, "present": False},
        {"field": "c", "required": False, "present": True},
    ]
    fields = recorded(plain(facts=facts(constraints=constraints)))
    assert fields["skipped"] == ["a"]


def test_what_a_role_masks_is_masked_and_so_is_what_may_repeat_it() -> None:
    fields = recorded(decided(DENIED))
    assert "DE1" not in json.dumps(fields)
    assert fields["input"]["call_args"]["amount"] == 5
    assert fields["masked"] == ("/call_args/iban",)
    assert fields["reproducible"] is False
    assert fields["violations"][0]["code"] == "TOO_MUCH"


def test_a_mask_that_finds_nothing_leaves_a_record_reproducible() -> None:
    call_args = {"amount": 5}
    fields = recorded(decided(facts=facts(call_args=call_args)), mask="/call_args/none")
    assert fields["reproducible"] is True
    assert "masked" not in fields


def test_a_replay_is_short() -> None:
    session = SessionFacts(UNLIMITED, UNLIMITED, replayed=2)
    fields = recorded(decided(DENIED, session=session))
    assert fields["replayed"] == 2
    assert fields["deny_code"] == "TOO_MUCH"
    assert fields.keys().isdisjoint({"input", "call", "skipped", "masked"})
    assert "DE1" not in json.dumps(fields)


def token(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"aGVhZA.{payload}.c2lnbmF0dXJl"


def test_claims_that_nobody_signed_are_marked_so_and_arguments_only_recognizable() -> None:
    refused = Decision(jwt_invalid("forged").verdict, call=CALL)
    fields = recorded(refused, token=token({"jti": "s-9"}))
    assert fields["claims_unverified"] == {"jti": "s-9"}
    assert fields.keys().isdisjoint({"session", "role", "agent", "input", "bundle"})
    assert "DE1" not in json.dumps(fields)
    assert fields["call"]["tool_name"] == "pay"
    assert fields["violations"][0]["reason"] == "the session token is refused: forged"
    assert fields["reproducible"] is False


@pytest.mark.parametrize(
    "text", ["", "x", "a.b.c", "..", "{}", token("x" * 5000), "x." + "A" * 100_000 + ".y", "é.é.é"]
)
def test_of_a_token_that_says_nothing_readable_the_size_is_kept(text: str) -> None:
    refused = Decision(jwt_invalid("forged").verdict, call=CALL)
    fields = recorded(refused, token=text)
    assert fields.get("claims_unverified") == ({"unreadable_bytes": len(text)} if text else None)


def test_an_unfit_request_leaves_its_digest() -> None:
    body = {"sha256": "0" * 64, "bytes": 12}
    fields = recorded(request_invalid("tool_name is missing"), body=body, token=token({}))
    assert fields["body"] == body
    assert fields["violations"][0]["reason"] == "tool_name is missing"
    hidden = recorded(request_invalid("limit is 7.5"), mask="/call_args/limit", body=body)
    assert "7.5" not in json.dumps(hidden)


def test_what_could_not_be_decided_says_what_the_policy_was_asked() -> None:
    crashed = Decision(
        policy_error("crashed").verdict, call=CALL, claims=CLAIMS, kid="k-1", facts=facts()
    )
    fields = recorded(crashed)
    assert fields["input"]["call_args"]["amount"] == 5
    assert fields["reproducible"] is False
    assert fields["session"]["id"] == "s-1"


def test_what_came_to_no_policy_says_what_the_call_was() -> None:
    away = Decision(policy_error("away").verdict, call=CALL, claims=CLAIMS, kid="k-1")
    fields = recorded(away)
    assert fields["call"]["call_args"]["amount"] == 5
    assert fields["masked"] == ("/call_args/iban",)
    assert "input" not in fields


def test_a_delegation_of_an_unknown_parent_names_no_session() -> None:
    call = Call("delegate", None, {}, "c-1")
    fields = recorded(decided(DENIED, call=call, claims={}, kid=None), action="delegate")
    assert fields.keys().isdisjoint({"session", "role", "agent", "tool_name"})
    assert "input" in fields
