"""The claims of a session's token: what its role grants, and what it may pass on."""

from collections.abc import Mapping
from typing import Any

from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.inheritance import EffectiveRole
from scopebound_engine.role.values import MIN_TTL_SECONDS


def ttl(role: RoleFields, requested: int) -> int:
    """A session's life in seconds: a wish can shorten the role's, not below a minute."""
    if not requested:
        return role.default_ttl_seconds
    return min(role.default_ttl_seconds, max(MIN_TTL_SECONDS, requested))


def claims_of(
    granted: EffectiveRole,
    session_id: str,
    now: int,
    seconds: int,
    parent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The claims of a session, but for issuer and audience; times in epoch seconds.

    `parent` are the claims of the session that spawns it, if one does: what is left to it of life
    and depth bounds what the child gets. What the child may do is its role's alone.
    """
    role = granted.role
    depth, end, root_id, parent_id = role.max_delegation_depth, now + seconds, session_id, None
    if parent is not None:
        depth = min(parent["delegation_depth_remaining"] - 1, depth)
        end = min(parent["exp"], end)
        root_id, parent_id = parent["root_session_id"], parent["jti"]
    return {
        "sub": f"agent:{role.id}",
        "jti": session_id,
        "iat": now,
        "nbf": now,
        "exp": end,
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
        "delegation_depth_remaining": depth,
        "parent_session_id": parent_id,
        "root_session_id": root_id,
        "bound": {
            "approval_required": list(role.approval_required),
            "allowed_mcp_servers": list(role.allowed_mcp_servers),
            "mcp_server_rate_limits": dict(role.mcp_server_rate_limits),
            "role_revision": role.revision,
            "log_mask": list(granted.log_mask),
        },
    }
