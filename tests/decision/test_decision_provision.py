"""Provisioning on real stores: what a session's token says, how long it lives, who gets one."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import jwt
import pytest
from sqlalchemy import Engine

from scopebound_engine.access.api_keys import ApiKey, ApiKeyStore
from scopebound_engine.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    TokenError,
)
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleChanges, RoleFields
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.state.seam import Entry, SessionState
from scopebound_engine.session.store import Sessions
from scopebound_engine.session.tokens import MAX_TOKEN_BYTES, Tokens
from tests.provisioning import make_provisioner
from tests.signing import AUDIENCE, ISSUER, KEY_ID, signing_key, tokens

NOW = 1_777_464_000.75
SESSION_ID = "47bb16ec-e06a-4090-9a4a-e0873e680545"
NOWHERE = "00000000-0000-4000-8000-000000000000"
HOUR = 3600


def key(*roles: str) -> ApiKey:
    return ApiKey("k", "k", "sb-k", frozenset({"enforce"}), roles, datetime.now(UTC))


def new_ids() -> Iterator[str]:
    while True:
        yield str(uuid.uuid4())


class Desk:
    """A provisioner with what it stands on, at NOW."""

    def __init__(self, database: Engine, state: SessionState) -> None:
        self.roles, self.state = RoleStore(database, lambda: NOW), state
        self.tokens: Tokens = tokens(lambda: NOW)
        self.sessions = Sessions(database, lambda: NOW)
        self.provisioner = make_provisioner(
            database, state, lambda: NOW, new_id=chain([SESSION_ID], new_ids()).__next__
        )
        ApiKeyStore(database, lambda: NOW, new_id=lambda: "k").create("k", frozenset({"enforce"}))

    def role(self, name: str = "agent", **fields: Any) -> Role:
        return self.roles.create(parse(RoleFields, {"name": name, **fields}))

    def change(self, role: Role, **changes: Any) -> Role:
        return self.roles.update(role.id, parse(RoleChanges, changes))[1]

    def claims(self, reference: str = "agent", requested_ttl: int = 0) -> dict[str, Any]:
        """What a token of the role says, read by a JWT library alone."""
        token = self.provisioner.provision(reference, requested_ttl, key()).token
        return dict(
            jwt.decode(
                token,
                signing_key().public_key(),
                algorithms=["RS256"],
                audience=AUDIENCE,
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        )


@pytest.fixture
def desk(database: Engine, state: SessionState) -> Desk:
    return Desk(database, state)


RULE = {"field": "amount", "operator": "lt", "value": 50000}
FULL: dict[str, Any] = {
    "description": "not in the token",
    "allowed_tools": ["read_invoices", "send_email"],
    "default_ttl_seconds": 900,
    "max_delegation_depth": 2,
    "rate_limit_per_minute": 30,
    "rate_limit_per_hour": 500,
    "parameter_constraints": {"read_invoices": [RULE]},
    "allowed_hours_start": 8,
    "allowed_hours_end": 20,
    "allowed_days": [0, 1, 2, 3, 4],
    "data_scope": {"allowed_envs": ["staging"], "max_rows": 1000},
    "webhook_url": "https://hook.example",
    "webhook_secret": "sixteen-or-more-characters",
    "approval_required": ["send_email"],
    "approval_ttl_seconds": 60,
    "allowed_mcp_servers": ["erp"],
    "mcp_server_rate_limits": {"erp": 60},
    "log_mask": ["/call_args/iban"],
}


def test_a_token_has_exactly_these_claims(desk: Desk) -> None:
    role = desk.role(**FULL)
    assert desk.claims() == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": f"agent:{role.id}",
        "jti": SESSION_ID,
        "iat": int(NOW),
        "nbf": int(NOW),
        "exp": int(NOW) + 900,
        "role": "agent",
        "role_id": role.id,
        "allowed_tools": ["read_invoices", "send_email"],
        "parameter_constraints": {"read_invoices": [RULE | {"required": False}]},
        "allowed_hours_start": 8,
        "allowed_hours_end": 20,
        "allowed_days": [0, 1, 2, 3, 4],
        "rate_limit_per_minute": 30,
        "rate_limit_per_hour": 500,
        "data_scope": {"allowed_envs": ["staging"], "max_rows": 1000},
        "delegation_depth_remaining": 2,
        "parent_session_id": None,
        "root_session_id": SESSION_ID,
        "bound": {
            "approval_required": ["send_email"],
            "allowed_mcp_servers": ["erp"],
            "mcp_server_rate_limits": {"erp": 60},
            "role_revision": 1,
            "log_mask": ["/call_args/iban"],
        },
    }


def test_a_token_has_exactly_this_header_and_is_believed_here(desk: Desk) -> None:
    desk.role(**FULL)
    session = desk.provisioner.provision("agent", 0, key())
    assert jwt.get_unverified_header(session.token) == {
        "alg": "RS256",
        "typ": "JWT",
        "kid": KEY_ID,
    }
    claims = desk.tokens.verify(session.token)
    assert (session.session_id, session.expires_at) == (claims["jti"], claims["exp"])


def test_a_role_with_nothing_makes_a_token_with_every_claim(desk: Desk) -> None:
    desk.role()
    bare = desk.claims()
    desk.role("full", **FULL)
    assert bare.keys() == desk.claims("full").keys()
    assert bare["exp"] - bare["iat"] == HOUR
    assert bare["allowed_tools"] == bare["allowed_days"] == []


def test_sessions_are_told_apart(desk: Desk, database: Engine, state: SessionState) -> None:
    desk.role()
    provisioner = make_provisioner(database, state, lambda: NOW)
    assert len({provisioner.provision("agent", 0, key()).session_id for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("role_ttl", "requested", "life"),
    [
        (HOUR, 0, HOUR),
        (HOUR, 600, 600),
        (HOUR, HOUR, HOUR),
        (HOUR, HOUR + 1, HOUR),
        (HOUR, 10**30, HOUR),
        (HOUR, 60, 60),
        (HOUR, 59, 60),
        (HOUR, 1, 60),
        (60, 0, 60),
        (60, 30, 60),
        (60, 61, 60),
        (86_400, 0, 86_400),
        (86_400, 86_401, 86_400),
    ],
)
def test_a_wish_shortens_the_roles_ttl_but_not_below_a_minute(
    desk: Desk, role_ttl: int, requested: int, life: int
) -> None:
    desk.role(default_ttl_seconds=role_ttl)
    claims = desk.claims(requested_ttl=requested)
    assert claims["exp"] - claims["iat"] == life
    assert desk.tokens.verify(desk.provisioner.provision("agent", requested, key()).token)


def test_a_token_is_believed_a_minute_before_it_begins_and_no_more(desk: Desk) -> None:
    desk.role()
    token = desk.provisioner.provision("agent", 0, key()).token
    assert tokens(lambda: int(NOW) - 60).verify(token)
    with pytest.raises(TokenError, match="lies in the future"):
        tokens(lambda: int(NOW) - 61).verify(token)
    assert tokens(lambda: NOW + 10**6).verify(token)["exp"] < NOW + 10**6


def test_a_role_is_named_by_uuid_in_any_case_or_by_its_exact_name(desk: Desk) -> None:
    role = desk.role("Agent")
    for reference in ("Agent", role.id, role.id.upper()):
        assert desk.claims(reference)["role_id"] == role.id
    for reference in ("agent", NOWHERE):
        with pytest.raises(NotFoundError):
            desk.provisioner.provision(reference, 0, key())


def test_a_key_for_some_roles_provisions_those_by_name_or_uuid(desk: Desk) -> None:
    role = desk.role()
    for named in (role.name, role.id):
        for reference in (role.name, role.id):
            assert desk.provisioner.provision(reference, 0, key("other", named))
    with pytest.raises(ForbiddenError, match="may not provision the role 'agent'"):
        desk.provisioner.provision("agent", 0, key("other"))


def test_a_session_begins_with_full_buckets(desk: Desk) -> None:
    role = desk.role(rate_limit_per_minute=3, rate_limit_per_hour=2)
    desk.provisioner.provision("agent", 0, key())
    found = desk.state.enter(Entry(SESSION_ID, role.id, 3, 2))
    assert (found.minute.remaining, found.hour.remaining) == (2, 1)
    assert found.revoked_reason is None


@pytest.mark.parametrize("reason", ["key leaked", ""])
def test_a_suspended_role_gets_no_session_until_it_is_resumed(desk: Desk, reason: str) -> None:
    role = desk.role()
    desk.roles.suspend(role.id, reason)
    with pytest.raises(ConflictError) as refused:
        desk.provisioner.provision("agent", 0, key())
    assert f"POST /mgmt/v1/roles/{role.id}/resume" in str(refused.value)
    assert (reason or "no reason given") in str(refused.value)
    desk.roles.resume(role.id)
    assert desk.provisioner.provision("agent", 0, key())


def test_a_key_for_other_roles_is_not_told_that_this_one_is_suspended(desk: Desk) -> None:
    desk.roles.suspend(desk.role().id, "key leaked")
    with pytest.raises(ForbiddenError):
        desk.provisioner.provision("agent", 0, key("other"))


def test_a_role_below_a_suspended_one_is_provisioned_with_what_it_inherits(desk: Desk) -> None:
    parent = desk.role("parent", allowed_tools=["read"])
    desk.role("child", parent_role_id="parent", allowed_tools=["send"])
    desk.roles.suspend(parent.id, "")
    assert desk.claims("child")["allowed_tools"] == ["read", "send"]


def test_a_child_gets_the_merged_tools_and_constraints_and_else_its_own(desk: Desk) -> None:
    strict = RULE | {"value": 10}
    desk.role("eldest", **FULL)
    desk.role(
        "parent",
        parent_role_id="eldest",
        allowed_tools=["pay"],
        parameter_constraints={"read_invoices": [strict], "pay": [RULE]},
    )
    desk.role("child", parent_role_id="parent", allowed_tools=["send_email", "close"])
    claims = desk.claims("child")
    assert claims["allowed_tools"] == ["read_invoices", "send_email", "pay", "close"]
    assert claims["parameter_constraints"] == {
        "read_invoices": [RULE | {"required": False}, strict | {"required": False}],
        "pay": [RULE | {"required": False}],
    }
    assert claims["bound"]["log_mask"] == FULL["log_mask"]
    desk.role("lone", log_mask=FULL["log_mask"])
    own = desk.claims("lone").keys() - {"sub", "role", "role_id"}
    own -= {"allowed_tools", "parameter_constraints", "jti", "root_session_id"}
    assert {name: claims[name] for name in own} == {name: desk.claims("lone")[name] for name in own}


def test_a_change_of_a_parent_counts_from_the_next_provision(desk: Desk) -> None:
    parent = desk.role("parent", allowed_tools=["read"])
    desk.role("child", parent_role_id="parent")
    before = desk.provisioner.provision("child", 0, key()).token
    desk.change(parent, allowed_tools=["write"])
    assert desk.claims("child")["allowed_tools"] == ["write"]
    assert desk.tokens.verify(before)["allowed_tools"] == ["read"]


def tools(count: int) -> list[str]:
    return [f"{number:0200}" for number in range(count)]


def largest(desk: Desk) -> Role:
    """A role with as many of these tools as the check lets pass."""
    role = desk.role()
    for count in range(40, 70):
        larger = role.model_copy(update={"allowed_tools": tuple(tools(count))})
        try:
            desk.provisioner.check([larger])
        except InputError:
            return desk.change(role, allowed_tools=tools(count - 1))
    raise AssertionError("no bound was found")


def test_what_passes_the_check_is_provisioned_and_what_does_not_is_not(desk: Desk) -> None:
    role = largest(desk)
    token = desk.provisioner.provision("agent", 0, key()).token
    assert MAX_TOKEN_BYTES - 400 < len(token) <= MAX_TOKEN_BYTES
    larger = desk.change(role, allowed_tools=tools(len(role.allowed_tools) + 2))
    with pytest.raises(InputError) as refused:
        desk.provisioner.check([larger])
    assert refused.value.field == "allowed_tools"
    with pytest.raises(InputError, match="16384"):
        desk.provisioner.provision("agent", 0, key())


def test_the_check_leaves_room_for_the_parent_of_a_delegated_session(desk: Desk) -> None:
    role = largest(desk)
    claims = desk.tokens.verify(desk.provisioner.provision(role.id, 0, key()).token)
    delegated = {name: value for name, value in claims.items() if name not in ("iss", "aud")}
    assert desk.tokens.sign(delegated | {"parent_session_id": NOWHERE})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parameter_constraints", {"pay": [RULE | {"field": name} for name in tools(60)]}),
        ("data_scope", {"allowed_envs": tools(70)}),
        ("approval_required", tools(70)),
        ("allowed_mcp_servers", tools(70)),
        ("mcp_server_rate_limits", dict.fromkeys(tools(70), 60)),
    ],
)
def test_the_check_names_the_field_that_is_too_large(desk: Desk, field: str, value: Any) -> None:
    role = desk.role(allowed_tools=["read"], **{field: value})
    with pytest.raises(InputError) as refused:
        desk.provisioner.check([role])
    assert refused.value.field == field


def test_a_child_that_outgrew_its_token_with_its_parent_is_told_when_provisioned(
    desk: Desk,
) -> None:
    parent = desk.role("parent")
    child = desk.role("child", parent_role_id="parent", allowed_tools=tools(30))
    desk.provisioner.check(desk.roles.chain(child))
    desk.change(parent, allowed_tools=[tool.replace("0", "x") for tool in tools(40)])
    with pytest.raises(InputError, match="fewer tools or constraints"):
        desk.provisioner.provision("child", 0, key())
