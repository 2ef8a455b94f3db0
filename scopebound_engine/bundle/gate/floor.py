"""The floor: calls that every bundle must deny, whatever else it allows.

One or more for each of the nine deny codes of the API reference, a revoked session, and each claim
or fact that is missing: what a policy needs and does not find is a denial, never silence. They are
made so that no sane data of a bundle (thresholds, an order of precedence) lets one pass, and that
nothing but the fact in question speaks against the call.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from scopebound_engine.bundle.gate.calls import (
    ABSENT,
    DELEGATION,
    MCP_CALL,
    MISSING,
    TOOL,
    TOOL_CALL,
    UNFIT,
    Case,
    changed,
    constraint,
    found,
)

_EXHAUSTED: Final = {"limit": 1, "granted": False, "remaining": 0, "retry_after_seconds": 60}
_PROVEN: Final = {
    "ready": True,
    "log_evidence": 1e9,
    "latched": True,
    "calls": 1_000_000_000,
    "baseline_sessions": 1_000_000_000,
}
_OTHER_CASE: Final = TOOL.upper()

# What is changed in a tool call that could be allowed, by what lets the call through then.
_TOOL_CALLS: Final[Mapping[str, Mapping[str, Any]]] = {
    "SCOPE_VIOLATION: a tool outside the role's allowed_tools": {"/tool_name": "drop_database"},
    "SCOPE_VIOLATION: a tool of a role without tools": {"/claims/allowed_tools": []},
    "SCOPE_VIOLATION: a tool that differs from a granted one in case": {"/tool_name": _OTHER_CASE},
    "SCOPE_VIOLATION: an action that nobody knows": {"/action": "spawn"},
    "PARAMETER_VIOLATION: an argument over its limit": {
        "/constraints": [constraint("lt", 50_000) | found(90_000)]
    },
    "PARAMETER_VIOLATION: an argument under its limit": {
        "/constraints": [constraint("gt", 9) | found(1)]
    },
    "PARAMETER_VIOLATION: an argument that is not the one allowed": {
        "/constraints": [constraint("eq", 1) | found(2)]
    },
    "PARAMETER_VIOLATION: an argument outside the list": {
        "/constraints": [constraint("in", [1, 2]) | found(3)]
    },
    "PARAMETER_VIOLATION: a text without the part it must contain": {
        "/constraints": [constraint("contains", "inv") | found("mail", matched=False)]
    },
    "PARAMETER_VIOLATION: a text that its pattern does not match": {
        "/constraints": [constraint("regex", "^inv") | found("mail", matched=False)]
    },
    "PARAMETER_VIOLATION: an argument of a type that cannot be judged": {
        "/constraints": [constraint("lt", 9) | UNFIT]
    },
    "PARAMETER_VIOLATION: a second constraint that is violated": {
        "/constraints": [constraint("lt", 9) | found(1), constraint("gt", 5) | found(1)]
    },
    "PARAMETER_VIOLATION: a required argument that is absent": {
        "/constraints": [constraint("lt", 9, required=True) | ABSENT]
    },
    "ENV_VIOLATION: an environment outside the role's allowed_envs": {
        "/call_args": {"env": "production"}
    },
    "ENV_VIOLATION: an environment that is no text": {"/call_args": {"env": ["staging"]}},
    "TIME_VIOLATION: an hour outside the role's allowed hours": {"/now/hour": 3},
    "TIME_VIOLATION: a day outside the role's allowed days": {"/now/weekday": 6},
    "DATA_LIMIT_EXCEEDED: more rows than the role's max_rows": {"/call_args": {"limit": 10**9}},
    "DATA_LIMIT_EXCEEDED: a limit that is no number": {"/call_args": {"limit": "5"}},
    "SESSION_EXPIRED: a session whose token has lapsed": {"/claims/exp": 1},
    "SESSION_EXPIRED: a revoked session": {
        "/session/revoked": True,
        "/session/revoked_reason": "the operator said so",
    },
    "RATE_LIMIT_EXCEEDED: a session without a token for this minute": {
        "/session/rate/minute": _EXHAUSTED
    },
    "RATE_LIMIT_EXCEEDED: a session without a token for this hour": {
        "/session/rate/hour": _EXHAUSTED
    },
    "BEHAVIORAL_DRIFT: a session that drifted from its role's baseline": {
        "/session/drift": _PROVEN
    },
}
_NEEDED: Final = (
    *("action", "tool_name", "call_args", "constraints", "now", "session", "claims"),
    *("claims/exp", "claims/allowed_tools", "claims/allowed_hours_start"),
    *("claims/allowed_hours_end", "claims/allowed_days", "claims/data_scope"),
    *("claims/data_scope/allowed_envs", "claims/data_scope/max_rows"),
    *(
        "session/revoked",
        "session/rate",
        "session/drift",
        "now/epoch_ms",
        "now/hour",
        "now/weekday",
    ),
)


def floor() -> Iterator[Case]:
    """The cases, by what lets the call through that is allowed in spite of it."""
    for name, changes in _TOOL_CALLS.items():
        yield Case(name, changed(TOOL_CALL, changes))
    yield Case(
        "SCOPE_VIOLATION: an MCP call of a tool outside the role's allowed_tools",
        changed(MCP_CALL, {"/tool_name": "drop_database"}),
    )
    yield Case(
        "RATE_LIMIT_EXCEEDED: an MCP call without a token of its server",
        changed(
            MCP_CALL,
            {
                "/claims/bound/mcp_server_rate_limits": {"ledger": 1},
                "/session/rate/server": _EXHAUSTED,
            },
        ),
    )
    yield Case(
        "DELEGATION_DEPTH_EXCEEDED: a sub-agent of a session without depth",
        changed(DELEGATION, {"/claims/delegation_depth_remaining": 0}),
    )
    yield Case(
        "SESSION_EXPIRED: a sub-agent of a revoked session",
        changed(DELEGATION, {"/session/revoked": True}),
    )
    for path in _NEEDED:
        yield Case(f"a call without {path.replace('/', '.')}", _without(TOOL_CALL, path))
    for path in ("claims", "claims/exp", "claims/delegation_depth_remaining", "session"):
        yield Case(f"a delegation without {path.replace('/', '.')}", _without(DELEGATION, path))


def _without(call: Mapping[str, Any], path: str) -> dict[str, Any]:
    return changed(call, {f"/{path}": MISSING})
