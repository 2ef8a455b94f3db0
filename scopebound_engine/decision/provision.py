"""Provisioning: a role and a wish become a session, its token and its state.

A session that another one spawns is a delegation: the bundle in force is asked first.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Final

from scopebound_engine.access.api_keys import ApiKey
from scopebound_engine.access.model import ROLES
from scopebound_engine.decision.delegation import Child, Delegations
from scopebound_engine.decision.pdp import Decision
from scopebound_engine.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    InputError,
    TooOftenError,
)
from scopebound_engine.role.inheritance import EffectiveRole, effective
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore
from scopebound_engine.role.values import is_uuid
from scopebound_engine.session.claims import claims_of, ttl
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.state.seam import SessionState
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
    "mcp_server_rate_limits",
    "log_mask",
)


@dataclass(frozen=True, slots=True)
class Session:
    """A provisioned session; `expires_at` in epoch seconds, `claims` are those of its token.

    `allowed` is the decision that let another session spawn it.
    """

    session_id: str
    token: str
    expires_at: int
    claims: Mapping[str, Any]
    allowed: Decision | None = None


@dataclass(frozen=True, slots=True)
class Delegation:
    """A wish for a session under another one, and how long it may take to decide it.

    `deadline` is a time of `time.monotonic()`; `call_id` names the request to the policy.
    """

    parent_id: str
    call_id: str
    deadline: float


@dataclass(frozen=True, slots=True)
class Provisioner:
    """Makes sessions. Every method raises DatabaseUnavailableError, StateUnavailableError.

    For each role an API key makes `per_minute` sessions a minute, and as many at once.
    """

    roles: RoleStore
    sessions: Sessions
    tokens: Tokens
    state: SessionState
    baselines: Baselines
    delegations: Delegations
    _: KW_ONLY
    per_minute: int
    clock: Callable[[], float]
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())

    def provision(self, role_ref: str, requested_ttl: int, key: ApiKey) -> Session:
        """A session for the role with this UUID or name.

        `requested_ttl` in seconds; 0 means the role's, otherwise it can only shorten, not below a
        minute. Raises NotFoundError, ForbiddenError when the key may not provision the role,
        ConflictError when it is suspended, TooOftenError, InputError when its token would be too
        large: an ancestor may have grown since the role was checked.
        """
        granted = self._admit(role_ref, key)
        session = self._make(granted, requested_ttl, key)
        if session is None:
            raise AuthenticationError(
                f"the API key {key.name!r} was revoked; send another with the scope `enforce`"
            )
        return session

    def delegate(
        self, wish: Delegation, role_ref: str, requested_ttl: int, key: ApiKey
    ) -> Session | Decision:
        """The same under another session, or the decision of the bundle that denies it.

        The child lives no longer than its parent, and delegates less deep. Raises like
        `provision`, and EvaluationError where the bundle gives no decision.
        """
        granted = self._admit(role_ref, key)
        role = granted.role
        child = Child(role.name, granted.allowed_tools, ttl(role, requested_ttl))
        # The parent may end after the bundle was asked, which it is told then.
        for _ in range(2):
            parent = self._parent(wish.parent_id, key)
            decision = self.delegations.decide(parent, child, wish.call_id, wish.deadline)
            if not decision.verdict.allow:
                return decision
            session = parent and self._make(granted, requested_ttl, key, parent)
            if session:
                return replace(session, allowed=decision)
        raise ConflictError(
            "the policy in force lets a session spawn another that is not known or has ended, or "
            f"the API key {key.name!r} was revoked meanwhile; no such session is made"
        )

    def check(self, chain: Sequence[Role]) -> None:
        """Refuse a role that could not be provisioned because its token would exceed 16 KiB.

        `chain` is the role and its ancestors. The longest token that a session of the role can have
        is signed, and nothing kept of it. Raises InputError, which names the largest field.
        """
        claims = self._claims(effective(chain), 0)
        try:
            self.tokens.sign(claims | {"parent_session_id": claims["jti"]})
        except InputError as error:
            sizes = {name: len(dumps(value)) for name, value in (claims | claims["bound"]).items()}
            raise InputError(max(_LARGE, key=sizes.__getitem__), error.detail) from error

    def _admit(self, role_ref: str, key: ApiKey) -> EffectiveRole:
        """What the role grants, of which this key may have another session now."""
        role = self.roles.get(role_ref) if is_uuid(role_ref) else self.roles.by_name(role_ref)
        if not key.may_provision(role.id, role.name):
            raise ForbiddenError(
                f"this API key may not provision the role {role.name!r}; "
                "use a key made with `keys create --role` for it"
            )
        _require_in_force(role)
        found = self.state.take(f"provision {key.id} {role.id}", self.per_minute)
        if not found.granted:
            raise TooOftenError(
                f"more than {self.per_minute} sessions of the role {role.name!r} were provisioned "
                f"with the API key {key.name!r} in a minute; keep sessions until they expire, or "
                "raise SCOPEBOUND_PROVISION_PER_MINUTE",
                found.retry_after_seconds,
            )
        return effective(self.roles.chain(role))

    def _parent(self, parent_id: str, key: ApiKey) -> SessionRecord | None:
        """The session, if it is known and this key may know of it."""
        found = self.sessions.find(parent_id) if is_uuid(parent_id) else None
        if found is None or key.may(ROLES) or found.api_key_id == key.id:
            return found
        return None

    def _make(
        self,
        granted: EffectiveRole,
        requested_ttl: int,
        key: ApiKey,
        parent: SessionRecord | None = None,
    ) -> Session | None:
        """A new session, or None where its parent or its API key ended meanwhile."""
        role, claims = granted.role, self._claims(granted, requested_ttl, parent)
        token = self.tokens.sign(claims)
        baseline = self.baselines.newest(role.id)
        record = SessionRecord(
            id=claims["jti"],
            role_id=role.id,
            role_revision=role.revision,
            api_key_id=key.id,
            parent_id=claims["parent_session_id"],
            created_at=moment(claims["iat"]),
            expires_at=moment(claims["exp"]),
            claims=claims,
            baseline_id=None if baseline is None else baseline.id,
        )
        if not self.sessions.create(record):
            _require_in_force(self.roles.get(role.id))
            return None
        limits = (claims["rate_limit_per_minute"], claims["rate_limit_per_hour"])
        self.state.open(record.id, *limits, claims["exp"])
        return Session(record.id, token, claims["exp"], claims)

    def _claims(
        self, granted: EffectiveRole, requested_ttl: int, parent: SessionRecord | None = None
    ) -> dict[str, Any]:
        seconds = ttl(granted.role, requested_ttl)
        above = None if parent is None else parent.claims
        claims = claims_of(granted, self.new_id(), int(self.clock()), seconds, above)
        return self.tokens.payload(claims)


def _require_in_force(role: Role) -> None:
    if role.suspended_reason is not None:
        raise ConflictError(
            f"the role {role.name!r} is suspended ({role.suspended_reason or 'no reason given'}); "
            f"an operator resumes it with POST /mgmt/v1/roles/{role.id}/resume"
        )
