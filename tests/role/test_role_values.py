"""What a role's fields may hold: bounds, names, words, and constraints."""

from typing import Any
from uuid import UUID

import pytest

from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.values import is_uuid
from tests.role.examples import ROLE_ID, fields, mistake

UUID_7 = "019dd926-a600-7c3e-8a1b-5f2d4c6e8b90"
RULE = {"field": "amount", "operator": "lt", "value": 50_000, "required": False}
NEARLY_UUIDS = [
    ROLE_ID[1:],
    ROLE_ID[:-1],
    ROLE_ID.replace("-", "", 1),
    ROLE_ID.replace("-", ""),
    "g" + ROLE_ID[1:],
]


def constrained(operator: str, value: Any) -> RoleFields:
    rule = {"field": "amount", "operator": operator, "value": value}
    return fields(parameter_constraints={"pay": [rule]})


def test_a_refused_webhook_secret_is_not_repeated() -> None:
    error = mistake(RoleFields, {"name": "a", "webhook_secret": "hunter2"})

    assert error.field == "webhook_secret"
    assert "hunter2" not in f"{error} {error.__cause__}"


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


def test_the_order_of_tools_stays_and_duplicates_go() -> None:
    assert fields(allowed_tools=["b", "a", "b"]).allowed_tools == ("b", "a")


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
