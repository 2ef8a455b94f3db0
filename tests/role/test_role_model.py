"""Roles as they are answered: the reference's examples, hints and times."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.model import Role, Suspension, role_response
from tests.role.examples import NOON, PARENT_ID, REFERENCE_REQUEST, ROLE_ID, fields, mistake, stored

REFERENCE_RESPONSE = {
    "id": ROLE_ID,
    "name": "invoice-processor",
    "allowed_tools": ["read_invoices", "send_email"],
    "default_ttl": 3600,
    "rate_limit_per_minute": 30,
    "rate_limit_per_hour": 500,
    "parent_role_id": PARENT_ID,
    "parameter_constraints": {
        "send_email": [{"field": "to", "operator": "regex", "value": ".*@company\\.com$"}],
        "read_invoices": [{"field": "amount", "operator": "lt", "value": 50000}],
    },
    "allowed_hours_start": 8,
    "allowed_hours_end": 20,
    "allowed_days": [0, 1, 2, 3, 4],
    "webhook_url": "https://your-server.com/webhooks/scopebound",
    "webhook_secret_hint": "your-hma***",
    "created_at": "2026-04-29T12:00:00Z",
    "updated_at": "2026-04-29T12:00:00Z",
}


def test_the_reference_request_is_answered_in_the_reference_fields() -> None:
    answer = role_response(stored(parse(RoleFields, REFERENCE_REQUEST)))

    assert {name: answer[name] for name in REFERENCE_RESPONSE} == REFERENCE_RESPONSE
    assert {name: answer[name] for name in answer.keys() - REFERENCE_RESPONSE.keys()} == {
        "description": "Processes invoices — read only",
        "default_ttl_seconds": 3600,
        "max_delegation_depth": 1,
        "data_scope": {"allowed_envs": ["staging", "production"], "max_rows": 1000},
        "approval_required": [],
        "approval_ttl_seconds": 0,
        "allowed_mcp_servers": [],
        "mcp_server_rate_limits": {},
        "log_mask": [],
        "suspended": False,
        "suspended_reason": None,
    }


@pytest.mark.parametrize("reason", ["", "key leaked"])
def test_a_suspended_role_says_so(reason: str) -> None:
    answer = role_response(stored(fields(), suspended_reason=reason))

    assert (answer["suspended"], answer["suspended_reason"]) == (True, reason)


@pytest.mark.parametrize("reason", [None, 5, "a\n", "x" * 257])
def test_a_reason_is_a_line_of_text(reason: Any) -> None:
    assert mistake(Suspension, {"reason": reason}).field == "reason"


def test_a_suspension_needs_no_reason() -> None:
    assert parse(Suspension, {}).reason == ""
    assert mistake(Suspension, {"because": "x"}).field == "because"


def test_a_change_is_answered_with_its_warnings() -> None:
    role = stored(fields())

    assert role_response(role, [])["warnings"] == []
    assert role_response(role, ["look"])["warnings"] == ["look"]
    assert "warnings" not in role_response(role)


def test_a_webhook_secret_is_never_shown() -> None:
    secret = "correct-horse-battery"
    role = stored(fields(webhook_secret=secret))

    assert secret not in json.dumps(role_response(role))
    assert secret not in repr(role)
    assert role_response(role)["webhook_secret_hint"] == "correct-***"
    assert role_response(stored(fields()))["webhook_secret_hint"] == ""


def test_times_are_answered_in_utc_to_the_second() -> None:
    evening = datetime(2026, 4, 29, 23, 30, 59, 999_999, tzinfo=timezone(timedelta(hours=2)))
    role = Role(id=ROLE_ID, revision=1, created_at=evening, updated_at=evening, name="a")

    assert role_response(role)["created_at"] == "2026-04-29T21:30:59Z"


def test_a_role_tells_when_it_was_created_and_when_it_was_changed() -> None:
    answer = role_response(
        stored(fields()).model_copy(update={"updated_at": NOON.replace(hour=13)})
    )

    assert (answer["created_at"], answer["updated_at"]) == (
        "2026-04-29T12:00:00Z",
        "2026-04-29T13:00:00Z",
    )


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_a_stored_time_without_a_zone_is_refused(field: str) -> None:
    whole = {"id": ROLE_ID, "revision": 1, "created_at": NOON, "updated_at": NOON, "name": "a"}

    assert mistake(Role, whole | {field: NOON.replace(tzinfo=None)}).field == field


def test_a_required_constraint_says_so_in_the_answer() -> None:
    rule = {"field": "amount", "operator": "lt", "value": 1, "required": True}
    role = stored(fields(parameter_constraints={"pay": [rule]}))

    assert role_response(role)["parameter_constraints"] == {"pay": [rule]}


def test_a_reason_may_have_256_characters() -> None:
    assert parse(Suspension, {"reason": "x" * 256}).reason == "x" * 256
