"""What requests carry of a role, and what the published client sends."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scopebound import ScopeboundSDK
from scopebound.adapters.mcp_database import database_role_template
from scopebound.adapters.mcp_filesystem import filesystem_role_template
from scopebound.adapters.mcp_github import github_role_template
from scopebound.adapters.mcp_slack import slack_role_template

from scopebound_engine import strict_json
from scopebound_engine.errors import InputError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleChanges, RoleFields
from tests.role.examples import REFERENCE_REQUEST, ROLE_ID, fields, mistake, stored


def test_a_name_alone_makes_a_role_with_the_defaults() -> None:
    role = fields()

    assert role.default_ttl_seconds == 3600
    assert role.max_delegation_depth == role.rate_limit_per_minute == role.rate_limit_per_hour == 0
    assert role.document() == parse(RoleFields, role.document()).document()


def test_what_a_role_holds_survives_strict_json() -> None:
    role = parse(RoleFields, REFERENCE_REQUEST)

    assert parse(RoleFields, strict_json.loads(strict_json.dumps(role.document()))) == role


def test_a_role_once_checked_cannot_be_altered() -> None:
    role = fields()

    with pytest.raises(ValidationError, match="frozen"):
        role.max_delegation_depth = 10**30  # type: ignore[misc]


@given(start=st.integers(0, 23), end=st.integers(0, 23))
def test_hours_are_refused_only_where_the_window_would_be_empty(start: int, end: int) -> None:
    value = {"name": "a", "allowed_hours_start": start, "allowed_hours_end": end}

    if start == end != 0:
        assert mistake(RoleFields, value).field == "allowed_hours_end"
    else:
        assert parse(RoleFields, value).allowed_hours_start == start


def test_an_unknown_field_is_refused_with_a_guess() -> None:
    error = mistake(RoleFields, {"name": "a", "alowed_tools": []})

    assert str(error) == "alowed_tools: is not a known field; did you mean allowed_tools?"


def test_all_mistakes_are_told_at_once() -> None:
    error = mistake(RoleFields, {"allowed_days": [9], "rate_limit_per_hour": "5"})

    assert error.field == "rate_limit_per_hour"
    assert error.detail == (
        "must be an integer, not a string; allowed_days.0: must be at most 6; name: is missing"
    )


@pytest.mark.parametrize("value", [None, [], "a", 5])
def test_a_body_that_is_no_object_is_refused(value: Any) -> None:
    assert mistake(RoleFields, value).field == ""


def test_data_scope_may_lie_flat_or_half_flat() -> None:
    nested = fields(data_scope={"allowed_envs": ["dev"], "max_rows": 5})

    assert fields(allowed_envs=["dev"], max_rows=5) == nested
    assert fields(data_scope={"allowed_envs": ["dev"]}, max_rows=5) == nested
    assert fields(data_scope={"allowed_envs": ["dev"], "max_rows": 5}, max_rows=5) == nested


@pytest.mark.parametrize(
    "value",
    [
        {"max_rows": 5, "data_scope": {"max_rows": 6}},
        {"max_rows": 5, "data_scope": {"max_rows": 0}},
        {"max_rows": 1, "data_scope": {"max_rows": True}},
        {"allowed_envs": [], "data_scope": {"allowed_envs": ["dev"]}},
        {"default_ttl": 60, "default_ttl_seconds": 61},
    ],
)
def test_two_spellings_that_contradict_each_other_are_refused(value: dict[str, Any]) -> None:
    assert mistake(RoleFields, {"name": "a", **value}).field == next(iter(value))


@pytest.mark.parametrize("scope", [None, [], [["allowed_envs", []]], "ab", 5])
def test_a_flat_field_does_not_hide_a_data_scope_that_is_no_object(scope: Any) -> None:
    value = {"name": "a", "max_rows": 5, "data_scope": scope}

    assert "data_scope: must be an object" in str(mistake(RoleFields, value))


def test_default_ttl_is_another_spelling_of_default_ttl_seconds() -> None:
    assert fields(default_ttl=90).default_ttl_seconds == 90
    assert fields(default_ttl=90, default_ttl_seconds=90).default_ttl_seconds == 90


def test_parsing_leaves_the_callers_value_alone() -> None:
    value = {"name": "a", "max_rows": 5, "data_scope": {"allowed_envs": []}, "default_ttl": 60}
    before = json.dumps(value)
    parse(RoleFields, value)

    assert json.dumps(value) == before


class TestChanges:
    def test_what_is_named_replaces_and_the_rest_stays(self) -> None:
        role = stored(parse(RoleFields, REFERENCE_REQUEST))
        changed = parse(RoleChanges, {"allowed_tools": ["read_invoices"]}).applied_to(role)

        assert changed.document() == role.document() | {"allowed_tools": ["read_invoices"]}

    def test_an_empty_change_changes_nothing(self) -> None:
        role = stored(parse(RoleFields, REFERENCE_REQUEST))

        assert parse(RoleChanges, {}).applied_to(role).document() == role.document()

    def test_zero_and_empty_clear(self) -> None:
        cleared = {
            "description": "",
            "allowed_tools": [],
            "max_delegation_depth": 0,
            "rate_limit_per_minute": 0,
            "rate_limit_per_hour": 0,
            "parent_role_id": "",
            "parameter_constraints": {},
            "allowed_hours_start": 0,
            "allowed_hours_end": 0,
            "allowed_days": [],
            "data_scope": {"allowed_envs": [], "max_rows": 0},
            "webhook_url": "",
            "webhook_secret": "",
        }
        role = stored(parse(RoleFields, REFERENCE_REQUEST))

        assert parse(RoleChanges, cleared).applied_to(role) == fields()

    @pytest.mark.parametrize("value", [{"max_rows": 5}, {"data_scope": {"max_rows": 5}}])
    def test_one_field_of_data_scope_leaves_the_other(self, value: dict[str, Any]) -> None:
        role = stored(parse(RoleFields, REFERENCE_REQUEST))
        changed = parse(RoleChanges, value).applied_to(role)

        assert changed.data_scope.max_rows == 5
        assert changed.data_scope.allowed_envs == ("staging", "production")

    def test_the_same_name_is_no_change_and_a_new_one_is_refused(self) -> None:
        role = stored(fields())
        parse(RoleChanges, {"name": "invoice-processor"}).applied_to(role)

        with pytest.raises(InputError) as caught:
            parse(RoleChanges, {"name": "other"}).applied_to(role)
        assert caught.value.field == "name"

    def test_a_new_name_is_checked_like_any_other(self) -> None:
        assert mistake(RoleChanges, {"name": "naïve"}).field == "name"

    def test_the_changed_role_is_checked_as_a_whole(self) -> None:
        role = stored(parse(RoleFields, REFERENCE_REQUEST))
        change = parse(RoleChanges, {"allowed_hours_start": 20})

        with pytest.raises(InputError) as caught:
            change.applied_to(role)
        assert caught.value.field == "allowed_hours_end"

    def test_an_id_is_not_something_to_change(self) -> None:
        assert mistake(RoleChanges, {"id": ROLE_ID}).field == "id"


TEMPLATES = [
    filesystem_role_template("fs", ["/data/invoices/**", "/tmp/**"]),
    github_role_template("gh", ["myorg/backend", "myorg/*"]),
    slack_role_template("slack", ["#engineering", "C012AB3CD"]),
    database_role_template("db", ["invoices"], read_only=False),
]


def sent_by_the_client(**kwargs: Any) -> Any:
    """The body that the published client makes of the arguments of `create_role`."""
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(201, json={})

    sdk = ScopeboundSDK(base_url="http://engine", api_key="sb-test")
    sdk._client = httpx.Client(base_url="http://engine", transport=httpx.MockTransport(answer))
    sdk.create_role(**kwargs)
    return strict_json.loads(bodies[0])


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template["name"])
def test_the_clients_role_templates_are_roles(template: dict[str, Any]) -> None:
    role = parse(RoleFields, sent_by_the_client(**template))

    assert list(role.allowed_tools) == template["allowed_tools"]
    assert list(role.allowed_mcp_servers) == template["allowed_mcp_servers"]
    assert list(role.approval_required) == template["approval_required"]
    assert role.data_scope.max_rows == template.get("max_rows", 0)
    assert role.parameter_constraints.keys() == template["parameter_constraints"].keys()


def test_every_argument_of_the_clients_create_role_is_understood() -> None:
    role = parse(
        RoleFields,
        sent_by_the_client(
            name="all",
            allowed_tools=["a"],
            allowed_days=[],
            allowed_hours_start=22,
            allowed_envs=["dev"],
            max_rows=5,
            webhook_url="http://hook",
            webhook_secret="sixteen-chars-xx",
            approval_ttl_seconds=900,
            mcp_server_rate_limits={"files": 60},
        ),
    )

    assert (role.allowed_hours_start, role.allowed_hours_end) == (22, 0)
    assert role.data_scope.model_dump() == {"allowed_envs": ("dev",), "max_rows": 5}
    assert role.mcp_server_rate_limits == {"files": 60}
