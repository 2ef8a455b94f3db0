"""Provisioning: a role and a wish become a session, its token and its state."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine.access.api_keys import ApiKey
from scopebound_engine.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    InputError,
)
from scopebound_engine.role.inheritance import EffectiveRole, effective
from scopebound_engine.role.model import MIN_TTL_SECONDS, Role, RoleFields, is_uuid
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.state import SessionState
from scopebound_engine.session.store import SessionRecord, Sessions
from scopebound_engine.session.tokens import Tokens
from scopebound_engine.strict_json import dumps
from scopebound_engine.times import moment

# The fields of a role that can make its token too large.
_LARGE: Final = (
    "allowed_tools",
    "parameter_constraints",
    "data_scope",
    "approval_required",
    "allowed_mcp_servers",
)


@dataclass(frozen=True, slots=True)
class Session:
    """A provisioned session; `expires_at` in epoch seconds."""

    session_id: str
    token: str
    expires_at: int


class Provisioner:
    """Makes sessions."""

    def __init__(
        self,
        roles: RoleStore,
        sessions: Sessions,
        tokens: Tokens,
        state: SessionState,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._roles, self._sessions = roles, sessions
        self._tokens, self._state = tokens, state
        self._clock, self._new_id = clock, new_id

    def provision(self, role_ref: str, requested_ttl: int, key: ApiKey) -> Session:
        """A session for the role with this UUID or name.

        `requested_ttl` in seconds; 0 means the role's, otherwise it can only shorten, not below a
        minute. Raises NotFoundError, ForbiddenError when the key may not provision the role,
        ConflictError when it is suspended, InputError when its token would be too large: an
        ancestor may have grown since the role was checked.
        """
        role = self._roles.get(role_ref) if is_uuid(role_ref) else self._roles.by_name(role_ref)
        if not key.may_provision(role.id, role.name):
            raise ForbiddenError(
                f"this API key may not provision the role {role.name!r}; "
                "use a key made with `keys create --role` for it"
            )
        _require_in_force(role)
        granted = effective(self._roles.chain(role))
        now, session_id = int(self._clock()), self._new_id()
        claims = claims_of(granted, role, session_id, now, ttl(role, requested_ttl))
        token = self._tokens.sign(claims)
        self._store(role, key, claims)
        self._state.open(
            session_id,
            claims["rate_limit_per_minute"],
            claims["rate_limit_per_hour"],
            claims["exp"],
        )
        return Session(session_id, token, claims["exp"])

    def _store(self, role: Role, key: ApiKey, claims: Mapping[str, Any]) -> None:
        session = SessionRecord(
            id=claims["jti"],
            role_id=role.id,
            role_revision=role.revision,
            api_key_id=key.id,
            parent_id=claims["parent_session_id"],
            created_at=moment(claims["iat"]),
            expires_at=moment(claims["exp"]),
            claims=claims,
        )
        if not self._sessions.create(session):
            _require_in_force(self._roles.get(role.id))
            raise AuthenticationError(
                f"the API key {key.name!r} was revoked; send another with the scope `enforce`"
            )

    def check(self, chain: Sequence[Role]) -> None:
        """Refuse a role that could not be provisioned because its token would exceed 16 KiB.

        `chain` is the role and its ancestors. The longest token that a session of the role can have
        is signed, and nothing kept of it. Raises InputError, which names the largest field.
        """
        role, session_id = chain[0], self._new_id()
        claims = claims_of(effective(chain), role, session_id, int(self._clock()), ttl(role, 0))
        try:
            self._tokens.sign(claims | {"parent_session_id": session_id})
        except InputError as error:
            sizes = {name: len(dumps(value)) for name, value in (claims | claims["bound"]).items()}
            raise InputError(max(_LARGE, key=sizes.__getitem__), error.detail) from error


def _require_in_force(role: Role) -> None:
    if role.suspended_reason is not None:
        raise ConflictError(
            f"the role {role.name!r} is suspended ({role.suspended_reason or 'no reason given'}); "
            f"an operator resumes it with POST /mgmt/v1/roles/{role.id}/resume"
        )


def ttl(role: RoleFields, requested: int) -> int:
    """The session's life in seconds: a wish can shorten the role's, not below a minute."""
    if not requested:
        return role.default_ttl_seconds
    return min(role.default_ttl_seconds, max(MIN_TTL_SECONDS, requested))


def claims_of(
    granted: EffectiveRole, role: Role, session_id: str, now: int, seconds: int
) -> dict[str, Any]:
    """The claims of a root session, but for issuer and audience; times in epoch seconds."""
    return {
        "sub": f"agent:{role.id}",
        "jti": session_id,
        "iat": now,
        "nbf": now,
        "exp": now + seconds,
        "role": role.name,
        "role_id": role.id,
        "allowed_tools": list(granted.allowed_tools),
        "parameter_constraints": {
            tool: [constraint.model_dump(mode="json") for constraint in constraints]
            for tool, constraints in granted.parameter_constraints.items()
        },
        "allowed_hours_start": role.allowed_hours_start,
        "allowed_hours_end": role.allowed_hours_end,
        "allowed_days": list(role.allowed_days),
        "rate_limit_per_minute": role.rate_limit_per_minute,
        "rate_limit_per_hour": role.rate_limit_per_hour,
        "data_scope": role.data_scope.model_dump(mode="json"),
        "delegation_depth_remaining": role.max_delegation_depth,
        "parent_session_id": None,
        "root_session_id": session_id,
        "bound": {
            "approval_required": list(role.approval_required),
            "allowed_mcp_servers": list(role.allowed_mcp_servers),
        },
    }
