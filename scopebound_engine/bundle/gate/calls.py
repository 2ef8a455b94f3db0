"""Calls as the engine asks a policy about them: what the gate tries a bundle with.

Each is a Rego input (`rego/input.schema.json`) as `decision.facts` builds it. The typical ones here
are what an allowed call looks like; `floor.py` and `hostile_calls.py` change one thing or another.
"""

import marshal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Facts = dict[str, Any]

TOOL: Final = "read_invoices"
# 2027-01-13 is a Wednesday.
_NOW: Final = {"epoch_ms": 1_799_841_600_000, "hour": 12, "weekday": 2}
_NOW_SECONDS: Final = _NOW["epoch_ms"] // 1_000


@dataclass(frozen=True, slots=True)
class Case:
    """A call, and in words what is special about it."""

    name: str
    facts: Mapping[str, Any]


class _Missing:
    """In place of a value: the fact is left out."""


MISSING: Final = _Missing()


def changed(facts: Mapping[str, Any], changes: Mapping[str, Any]) -> Facts:
    """A copy with other values at these JSON Pointers; `MISSING` leaves the fact out."""
    copy: Facts = _copied(facts)
    for pointer, value in changes.items():
        *folders, name = pointer.split("/")[1:]
        parent = copy
        for folder in folders:
            parent = parent[folder]
        if value is MISSING:
            parent.pop(name)
        else:
            parent[name] = _copied(value)
    return copy


def _copied(value: Any) -> Any:
    # Ten times as quick as copy.deepcopy, and there are hundreds of calls.
    return marshal.loads(marshal.dumps(value))  # noqa: S302 (written in this line)


def constraint(operator: str, value: Any, *, required: bool = False) -> Facts:
    """What a role demands of the argument `amount`; with what was found it is a whole fact."""
    return {"field": "amount", "operator": operator, "value": value, "required": required}


def found(actual: Any, **matched: bool) -> Facts:
    """The argument is there, as the operator wants it; `matched` for contains and regex."""
    return {"present": True, "fit": True, "actual": actual, **matched}


ABSENT: Final[Facts] = {"present": False, "fit": True}
UNFIT: Final[Facts] = {"present": True, "fit": False}


def _window(limit: int) -> Facts:
    return {
        "limit": limit,
        "granted": True,
        "remaining": max(limit - 1, 0),
        "retry_after_seconds": 0,
    }


TOOL_CALL: Final[Facts] = {
    "action": "tool_call",
    "tool_name": TOOL,
    "call_args": {"amount": 25_000},
    "call_id": "c0a8012e",
    "mcp_server": None,
    "claims": {
        "iss": "scopebound-engine",
        "aud": "scopebound",
        "sub": "agent:2f1f3c1e-5a0c-4d8e-9f57-0d3f3f6f9a11",
        "jti": "7d4b9c2e-1c57-4a8e-8f0b-5b0a4a2f6c33",
        "iat": _NOW_SECONDS - 60,
        "nbf": _NOW_SECONDS - 60,
        "exp": _NOW_SECONDS + 3_540,
        "role": "invoice-processor",
        "role_id": "2f1f3c1e-5a0c-4d8e-9f57-0d3f3f6f9a11",
        "allowed_tools": [TOOL, "send_email"],
        "allowed_hours_start": 8,
        "allowed_hours_end": 20,
        "allowed_days": [0, 1, 2, 3, 4],
        "rate_limit_per_minute": 30,
        "rate_limit_per_hour": 500,
        "data_scope": {"allowed_envs": ["staging"], "max_rows": 1_000},
        "delegation_depth_remaining": 1,
        "parent_session_id": None,
        "root_session_id": "7d4b9c2e-1c57-4a8e-8f0b-5b0a4a2f6c33",
        "bound": {
            "approval_required": [],
            "allowed_mcp_servers": [],
            "mcp_server_rate_limits": {},
        },
    },
    "constraints": [],
    "matches": {},
    "now": _NOW,
    "session": {
        "rate": {"minute": _window(30), "hour": _window(500)},
        "drift": {
            "ready": False,
            "log_evidence": 0,
            "latched": False,
            "calls": 0,
            "baseline_sessions": 0,
        },
        "revoked": False,
        "revoked_reason": None,
    },
}
MCP_CALL: Final[Facts] = changed(TOOL_CALL, {"/action": "mcp_tool_call", "/mcp_server": "ledger"})
DELEGATION: Final[Facts] = changed(
    TOOL_CALL,
    {
        "/action": "delegate",
        "/tool_name": None,
        "/call_args": {},
        "/child": {"role": "mail-sender", "allowed_tools": ["send_email"], "ttl_seconds": 600},
    },
)


def typical() -> Iterator[Case]:
    """Calls that a role usually allows, each in another way."""
    yield Case("a tool call", TOOL_CALL)
    yield Case("an MCP tool call", MCP_CALL)
    yield Case("an MCP tool call within the limit of its server", changed(MCP_CALL, _LIMITED))
    yield Case("a delegation", DELEGATION)
    yield Case(
        "a tool call with all arguments in bounds",
        changed(TOOL_CALL, {"/call_args": {"env": "staging", "limit": 100, "amount": 1.5}}),
    )
    yield Case("a tool call of a role without restrictions", changed(TOOL_CALL, _UNRESTRICTED))
    yield Case("a tool call under constraints", changed(TOOL_CALL, {"/constraints": _SATISFIED}))
    yield Case(
        "a tool call late in a session that follows its baseline",
        changed(TOOL_CALL, {"/session/drift": _STEADY, "/session/rate/minute": _window(0)}),
    )


_UNRESTRICTED: Final = {
    "/claims/allowed_hours_start": 0,
    "/claims/allowed_hours_end": 0,
    "/claims/allowed_days": [],
    "/claims/data_scope": {"allowed_envs": [], "max_rows": 0},
    "/claims/rate_limit_per_minute": 0,
    "/claims/rate_limit_per_hour": 0,
    "/claims/delegation_depth_remaining": 0,
    "/session/rate": {"minute": _window(0), "hour": _window(0)},
}
_LIMITED: Final = {
    "/claims/bound/mcp_server_rate_limits": {"ledger": 60},
    "/session/rate/server": _window(60),
}
_SATISFIED: Final[Sequence[Facts]] = [
    constraint("lt", 50_000) | found(25_000),
    constraint("gt", 0) | found(25_000),
    constraint("eq", 25_000) | found(25_000),
    constraint("in", [25_000, 30_000]) | found(25_000),
    constraint("contains", "inv") | found("an invoice", matched=True),
    constraint("regex", "^an .*$") | found("an invoice", matched=True),
    constraint("lt", 9) | ABSENT,
]
_STEADY: Final = {
    "ready": True,
    "log_evidence": -2.5,
    "latched": False,
    "calls": 120,
    "baseline_sessions": 50,
}
