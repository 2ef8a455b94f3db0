"""The Rego input: its shape, and what is left out."""

import copy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine import strict_json
from scopebound_engine.bundle.format.matcher_specs import MatcherSpec
from scopebound_engine.bundle.matchers import Matchers
from scopebound_engine.decision.facts import Call, build
from scopebound_engine.session.state.seam import SessionFacts, Window
from tests.decision.facts_samples import CLAIMS, SESSION, WEDNESDAY_MS


def test_the_document_has_the_contracts_shape() -> None:
    call = Call("mcp_tool_call", "send_email", {"to": "a@company.com"}, "call-1", "mail")

    assert build(call, CLAIMS, WEDNESDAY_MS, SESSION) == {
        "action": "mcp_tool_call",
        "tool_name": "send_email",
        "call_args": {"to": "a@company.com"},
        "call_id": "call-1",
        "mcp_server": "mail",
        "claims": {
            "sub": CLAIMS["sub"],
            "jti": CLAIMS["jti"],
            "allowed_tools": ["pay", "send_email"],
        },
        "constraints": [
            {
                "field": "to",
                "operator": "regex",
                "value": r"@company\.com$",
                "required": False,
                "present": True,
                "fit": True,
                "actual": "a@company.com",
                "matched": True,
            }
        ],
        "matches": {},
        "now": {"epoch_ms": WEDNESDAY_MS, "hour": 7, "weekday": 2},
        "session": {
            "rate": {
                "minute": {"limit": 30, "granted": True, "remaining": 29, "retry_after_seconds": 0},
                "hour": {"limit": 0, "granted": True, "remaining": 0, "retry_after_seconds": 0},
            },
            "drift": {
                "ready": False,
                "log_evidence": 0,
                "latched": False,
                "calls": 1,
                "baseline_sessions": 0,
            },
            "revoked": False,
            "revoked_reason": None,
        },
    }


@pytest.mark.parametrize("reason", ["role deleted", ""])
def test_a_revoked_session_carries_its_reason(reason: str) -> None:
    revoked = SessionFacts(SESSION.minute, SESSION.hour, revoked_reason=reason)
    session = build(Call("tool_call", "pay", {}, "c"), CLAIMS, WEDNESDAY_MS, revoked)["session"]

    assert (session["revoked"], session["revoked_reason"]) == (True, reason)


def test_a_delegation_carries_the_child() -> None:
    child = {"role": "reader", "allowed_tools": ["read"], "ttl_seconds": 60}
    document = build(Call("delegate", None, {}, "c"), CLAIMS, WEDNESDAY_MS, SESSION, child)

    assert document["child"] == child
    assert document["tool_name"] is None
    assert document["constraints"] == []


def test_what_the_bundles_matchers_say_is_a_fact() -> None:
    specs = {
        "tool": MatcherSpec("/tool_name", "prefix", ("pa",)),
        "server": MatcherSpec("/mcp_server", "suffix", ("x",)),
        "child": MatcherSpec("/child/role", "glob", ("read*",)),
        "amount": MatcherSpec("/call_args/amount", "regex", ("^1",)),
    }
    call = Call("tool_call", "pay", {"amount": 1}, "c")
    child = {"role": "reader", "allowed_tools": ["read"], "ttl_seconds": 60}
    facts = build(call, CLAIMS, WEDNESDAY_MS, SESSION, child, Matchers(specs))

    answers = {"tool": "yes", "server": "absent", "child": "yes", "amount": "unfit"}
    assert facts["matches"] == answers


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
)
def test_hour_and_weekday_are_those_of_the_calendar(moment: datetime) -> None:
    now_ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    now = build(Call("tool_call", "pay", {}, "c"), CLAIMS, now_ms, SESSION)["now"]

    assert now == {"epoch_ms": now_ms, "hour": moment.hour, "weekday": moment.weekday()}


def test_the_claims_are_never_changed() -> None:
    before = copy.deepcopy(CLAIMS)
    document = build(Call("tool_call", "send_email", {"to": "a"}, "c"), CLAIMS, 0, SESSION)
    document["claims"]["sub"] = document["constraints"][0]["value"] = "changed"
    document["session"]["drift"]["ready"] = True

    assert before == CLAIMS
    again = build(Call("tool_call", "send_email", {"to": "a"}, "c"), CLAIMS, 0, SESSION)
    assert again["session"]["drift"]["ready"] is False


def test_the_document_is_json() -> None:
    document = build(Call("tool_call", "send_email", {"to": "ä"}, "c"), CLAIMS, 0, SESSION)

    assert strict_json.loads(strict_json.dumps(document)) == document


LIMITED = {**CLAIMS, "bound": {"mcp_server_rate_limits": {"mail": 60, "files": 5}}}
NONE_LEFT = Window(limit=60, granted=False, remaining=0, retry_after_seconds=9)


def test_a_server_that_the_role_limits_has_a_window_of_its_own() -> None:
    call = Call("mcp_tool_call", "pay", {}, "c", "mail")
    found = SessionFacts(SESSION.minute, SESSION.hour, NONE_LEFT)
    document = build(call, LIMITED, WEDNESDAY_MS, found)

    assert document["session"]["rate"]["server"] == {
        "limit": 60,
        "granted": False,
        "remaining": 0,
        "retry_after_seconds": 9,
    }
    assert document["claims"]["bound"] == {"mcp_server_rate_limits": {"mail": 60}}


@pytest.mark.parametrize("server", [None, "erp"])
def test_what_the_role_limits_elsewhere_is_left_out(server: str | None) -> None:
    call = Call("mcp_tool_call", "pay", {}, "c", server)
    document = build(call, LIMITED, WEDNESDAY_MS, SESSION)

    assert set(document["session"]["rate"]) == {"minute", "hour"}
    assert document["claims"]["bound"] == {"mcp_server_rate_limits": {}}
    assert LIMITED["bound"] == {"mcp_server_rate_limits": {"mail": 60, "files": 5}}


def test_what_a_token_says_to_the_log_is_no_policys_business() -> None:
    bound = {"approval_required": ["read"], "role_revision": 3, "log_mask": ["/call_args/iban"]}
    document = build(Call("tool_call", "read", {}, "1"), {"bound": bound}, WEDNESDAY_MS, SESSION)

    assert document["claims"]["bound"] == {"approval_required": ["read"]}


def test_a_token_that_does_not_speak_of_servers_stays_as_it_is() -> None:
    claims = {**CLAIMS, "bound": {"approval_required": []}}
    call = Call("mcp_tool_call", "pay", {}, "c", "mail")

    assert build(call, claims, WEDNESDAY_MS, SESSION)["claims"]["bound"] == claims["bound"]
