"""Roles as values: the reference's examples, strictness, and what the published client sends."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

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
from scopebound_engine.role.model import Role, Suspension, role_response
from scopebound_engine.role.values import is_uuid

ROLE_ID = "3bcedc38-a87a-4c2a-bc50-7693cb90af2d"
UUID_7 = "019dd926-a600-7c3e-8a1b-5f2d4c6e8b90"
PARENT_ID = "47bb16ec-e06a-4090-9a4a-e0873e680545"
NOON = datetime(2026, 4, 29, 12, 0, 0, tzinfo=UTC)
RULE = {"field": "amount", "operator": "lt", "value": 50_000, "required": False}

REFERENCE_REQUEST = strict_json.loads(
    rb"""{
  "name": "invoice-processor",
  "description": "Processes invoices \u2014 read only",
  "allowed_tools": ["read_invoices", "send_email"],
  "default_ttl_seconds": 3600,
  "max_delegation_depth": 1,
  "rate_limit_per_minute": 30,
  "rate_limit_per_hour": 500,
  "parent_role_id": "base-agent",
  "parameter_constraints": {
    "send_email": [{"field": "to", "operator": "regex", "value": ".*@company\\.com$"}],
    "read_invoices": [{"field": "amount", "operator": "lt", "value": 50000}]
  },
  "allowed_hours_start": 8,
  "allowed_hours_end": 20,
  "allowed_days": [0, 1, 2, 3, 4],
  "data_scope": {"allowed_envs": ["staging", "production"], "max_rows": 1000},
  "webhook_url": "https://your-server.com/webhooks/scopebound",
  "webhook_secret": "your-hmac-secret"
}"""
)
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


NEARLY_UUIDS = [
    ROLE_ID[1:],
    ROLE_ID[:-1],
    ROLE_ID.replace("-", "", 1),
    ROLE_ID.replace("-", ""),
    "g" + ROLE_ID[1:],
]


def fields(**changes: Any) -> RoleFields:
    return parse(RoleFields, {"name": "invoice-processor", **changes})


def stored(role: RoleFields, **changes: Any) -> Role:
    document = role.document() | {"parent_role_id": PARENT_ID} | changes
    return Role(id=ROLE_ID, revision=1, created_at=NOON, updated_at=NOON, **document)


def constrained(operator: str, value: Any) -> RoleFields:
    rule = {"field": "amount", "operator": operator, "value": value}
    return fields(parameter_constraints={"pay": [rule]})


def mistake(model: type[Any], value: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        parse(model, value)
    return caught.value


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


def test_a_refused_webhook_secret_is_not_repeated() -> None:
    error = mistake(RoleFields, {"name": "a", "webhook_secret": "hunter2"})

    assert error.field == "webhook_secret"
    assert "hunter2" not in f"{error} {error.__cause__}"


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


def test_a_name_alone_makes_a_role_with_the_defaults() -> None:
    role = fields()

    assert role.default_ttl_seconds == 3600
    assert role.max_delegation_depth == role.rate_limit_per_minute == role.rate_limit_per_hour == 0
    assert role.document() == parse(RoleFields, role.document()).document()


def test_what_a_role_holds_survives_strict_json() -> None:
    role = parse(RoleFields, REFERENCE_REQUEST)

    assert parse(RoleFields, strict_json.loads(strict_json.dumps(role.document()))) == role


def test_a_required_constraint_says_so_in_the_answer() -> None:
    rule = {"field": "amount", "operator": "lt", "value": 1, "required": True}
    role = stored(fields(parameter_constraints={"pay": [rule]}))

    assert role_response(role)["parameter_constraints"] == {"pay": [rule]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5),
        ("description", None),
        ("allowed_tools", "read"),
        ("allowed_tools", {"read": 1}),
        ("allowed_tools", [1]),
        ("default_ttl_seconds", "3600"),
        ("default_ttl_seconds", True),
        ("default_ttl_seconds", 90.5),
        ("max_delegation_depth", True),
        ("rate_limit_per_minute", "5"),
        ("parent_role_id", None),
        ("parameter_constraints", []),
        ("allowed_days", [True]),
        ("allowed_hours_start", "8"),
        ("data_scope", []),
        ("approval_required", "pay"),
        ("mcp_server_rate_limits", {"files": "60"}),
    ],
)
def test_a_value_of_another_type_is_not_coerced(field: str, value: Any) -> None:
    assert mistake(RoleFields, {"name": "a", field: value}).field.startswith(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("default_ttl_seconds", 59),
        ("default_ttl_seconds", 86_401),
        ("default_ttl_seconds", 0),
        ("max_delegation_depth", -1),
        ("max_delegation_depth", 101),
        ("max_delegation_depth", 10**30),
        ("rate_limit_per_minute", -1),
        ("rate_limit_per_minute", 1_000_000_001),
        ("rate_limit_per_hour", 1_000_000_001),
        ("allowed_hours_start", -1),
        ("allowed_hours_start", 24),
        ("allowed_hours_end", -1),
        ("allowed_hours_end", 24),
        ("allowed_days", [7]),
        ("allowed_days", [-1]),
        ("allowed_days", [1, 1]),
        ("allowed_tools", [""]),
        ("allowed_tools", ["read\n"]),
        ("allowed_tools", ["read\x85"]),
        ("allowed_tools", ["x" * 257]),
        ("allowed_tools", [f"tool{n}" for n in range(513)]),
        ("allowed_envs", [""]),
        ("approval_required", [""]),
        ("allowed_mcp_servers", [""]),
        ("log_mask", [""]),
        ("log_mask", ["/claims/sub"]),
        ("log_mask", ["call_args/iban"]),
        ("log_mask", ["/call_args/~2"]),
        ("log_mask", ["/call_args/a\n"]),
        ("parent_role_id", "x" * 129),
        ("parameter_constraints", {"": []}),
        ("parameter_constraints", {"pay": [RULE] * 65}),
        ("parameter_constraints", {f"tool{n}": [] for n in range(513)}),
        ("max_rows", -1),
        ("max_rows", 1_000_000_001),
        ("webhook_url", "ftp://example.com"),
        ("webhook_url", "https://"),
        ("webhook_url", "https://:443/"),
        ("webhook_url", "https://exa mple.com"),
        ("webhook_url", "https://example.com/\n"),
        ("webhook_url", "https://[::1"),
        ("webhook_url", "https://user:password@example.com/"),
        ("webhook_url", "https://example.com:0/"),
        ("webhook_url", "https://example.com:65536/"),
        ("webhook_url", "https://h/" + "x" * 2_039),
        ("webhook_secret", "fifteen-chars-x"),
        ("webhook_secret", "x" * 513),
        ("approval_ttl_seconds", -1),
        ("approval_ttl_seconds", 86_401),
        ("mcp_server_rate_limits", {"": 1}),
        ("mcp_server_rate_limits", {"files": 0}),
        ("mcp_server_rate_limits", {"files": 1_000_000_001}),
        ("mcp_server_rate_limits", {f"server{n}": 1 for n in range(513)}),
        ("description", "x" * 4097),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_field(field: str, value: Any) -> None:
    assert field in str(mistake(RoleFields, {"name": "a", field: value}))


@pytest.mark.parametrize(
    "name",
    ["", "x" * 129, "naïve", "a\n", "a\x7f", ROLE_ID, ROLE_ID.upper(), str(UUID(int=0)), UUID_7],
)
def test_a_name_is_printable_ascii_and_no_uuid(name: str) -> None:
    assert mistake(RoleFields, {"name": name}).field == "name"


def test_any_printable_ascii_is_a_name() -> None:
    assert fields(name="".join(map(chr, range(0x20, 0x7F)))).name.endswith("~")
    assert not is_uuid(ROLE_ID + "0")


@pytest.mark.parametrize("name", ["x" * 128, *NEARLY_UUIDS])
def test_a_long_name_or_one_that_is_nearly_a_uuid_is_a_name(name: str) -> None:
    assert fields(name=name).name == name


def test_no_word_has_a_control_character() -> None:
    for code in (*range(0x20), *range(0x7F, 0xA0)):
        value = {"name": "a", "allowed_tools": [f"a{chr(code)}b"]}

        assert mistake(RoleFields, value).field == "allowed_tools.0"


@pytest.mark.parametrize("word", [" ", "~", "\xa0", "\u2028"])
def test_what_is_next_to_the_control_characters_may_be_a_word(word: str) -> None:
    assert fields(allowed_tools=[word]).allowed_tools == (word,)


def test_a_webhook_may_have_every_visible_ascii_character() -> None:
    url = "https://hook/" + "".join(map(chr, range(0x21, 0x7F)))

    assert fields(webhook_url=url).webhook_url == url


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "x" * 4_096),
        ("allowed_tools", ["x" * 256]),
        ("allowed_tools", [f"tool{n}" for n in range(512)]),
        ("default_ttl_seconds", 60),
        ("default_ttl_seconds", 86_400),
        ("max_delegation_depth", 100),
        ("rate_limit_per_hour", 1_000_000_000),
        ("parent_role_id", "x" * 128),
        ("parameter_constraints", {"pay": [RULE] * 64}),
        ("parameter_constraints", {f"tool{n}": [] for n in range(512)}),
        ("allowed_days", [0, 6]),
        ("webhook_url", "https://h/" + "x" * 2_038),
        ("webhook_secret", "x" * 512),
        ("approval_ttl_seconds", 86_400),
        ("mcp_server_rate_limits", {"files": 1}),
        ("mcp_server_rate_limits", {"files": 1_000_000_000}),
        ("mcp_server_rate_limits", {f"server{n}": 1 for n in range(512)}),
    ],
)
def test_the_bounds_themselves_are_in(field: str, value: Any) -> None:
    assert fields(**{field: value}).document()[field] == value


def test_a_reason_may_have_256_characters() -> None:
    assert parse(Suspension, {"reason": "x" * 256}).reason == "x" * 256


def test_a_role_once_checked_cannot_be_altered() -> None:
    role = fields()

    with pytest.raises(ValidationError, match="frozen"):
        role.max_delegation_depth = 10**30  # type: ignore[misc]


def test_the_order_of_tools_stays_and_duplicates_go() -> None:
    assert fields(allowed_tools=["b", "a", "b"]).allowed_tools == ("b", "a")


@given(start=st.integers(0, 23), end=st.integers(0, 23))
def test_hours_are_refused_only_where_the_window_would_be_empty(start: int, end: int) -> None:
    value = {"name": "a", "allowed_hours_start": start, "allowed_hours_end": end}

    if start == end != 0:
        assert mistake(RoleFields, value).field == "allowed_hours_end"
    else:
        assert parse(RoleFields, value).allowed_hours_start == start


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("eq", None),
        ("eq", {"a": [1]}),
        ("eq", 10**60),
        ("lt", 5),
        ("gt", -0.5),
        ("contains", "x"),
        ("regex", "^a$"),
        ("in", []),
        ("in", ["a", 1, None]),
    ],
)
def test_each_operator_takes_its_values(operator: str, value: Any) -> None:
    (rule,) = constrained(operator, value).parameter_constraints["pay"]

    assert (rule.value, rule.required) == (value, False)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("lt", "5"),
        ("lt", True),
        ("gt", None),
        ("gt", [1]),
        ("contains", 5),
        ("contains", ""),
        ("regex", ""),
        ("regex", "("),
        ("regex", r"(a)\1"),
        ("in", "us-east"),
        ("in", {"us-east": 1}),
    ],
)
def test_a_value_that_the_operator_cannot_judge_is_refused(operator: str, value: Any) -> None:
    rule = {"field": "amount", "operator": operator, "value": value}
    error = mistake(RoleFields, {"name": "a", "parameter_constraints": {"pay": [rule]}})

    assert error.field == "parameter_constraints.pay.0.value"


@pytest.mark.parametrize(
    "rule",
    [
        {"field": "a", "operator": "like", "value": 1},
        {"field": "", "operator": "eq", "value": 1},
        {"field": 1, "operator": "eq", "value": 1},
        {"operator": "eq", "value": 1},
        {"field": "a", "operator": "eq"},
        {"field": "a", "operator": "eq", "value": 1, "required": "yes"},
        {"field": "a", "operator": "eq", "value": 1, "optional": True},
        "a < 5",
    ],
)
def test_an_ill_formed_constraint_is_refused(rule: Any) -> None:
    error = mistake(RoleFields, {"name": "a", "parameter_constraints": {"pay": [rule]}})

    assert error.field.startswith("parameter_constraints.pay.0")


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
