"""The facts of one call, as the policy sees them: the Rego input.

The engine computes facts, the policy judges them. One document has one shape for every entry;
where a fact cannot be had it is left out, and the policy denies for want of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from scopebound_engine.bundle.matchers import EMPTY, Matchers
from scopebound_engine.decision.constraints import judged
from scopebound_engine.matching.patterns import Budget
from scopebound_engine.session.drift.evidence import Baseline, judge
from scopebound_engine.session.state.seam import SessionFacts, Window

_HOUR_MS: Final = 3_600_000
_THURSDAY: Final = 3  # the weekday of 1970-01-01, Monday being 0
# What a token says to the decision log; it is no policy's business.
_LOGGED: Final = frozenset({"role_revision", "log_mask"})
# In counts by tool: all that the role does not allow. No tool is named so.
_OTHERS: Final = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One call to be judged; the endpoint sets the action. No tool on `delegate`.

    `named`: the call id is the client's, by which it may send the call again.
    """

    action: Literal["tool_call", "mcp_tool_call", "delegate"]
    tool_name: str | None
    call_args: dict[str, Any]
    call_id: str
    mcp_server: str | None = None
    named: bool = False


def build(
    call: Call,
    claims: Mapping[str, Any],
    now_ms: int,
    session: SessionFacts,
    child: Mapping[str, Any] | None = None,
    matchers: Matchers = EMPTY,
    baseline: Baseline | None = None,
) -> dict[str, Any]:
    """The Rego input. `now_ms` is epoch milliseconds; `child` is the session asked for on delegate.

    `constraints` is left out where the claims do not hold well-formed ones. What the claims hold is
    shared with the document, never changed. `matchers` are those of the bundle that will judge,
    `baseline` is what the session pinned.
    """
    document: dict[str, Any] = {
        "action": call.action,
        "tool_name": call.tool_name,
        "call_args": call.call_args,
        "call_id": call.call_id,
        "mcp_server": call.mcp_server,
        "claims": _claims(call, claims),
        "now": _now(now_ms),
        "session": {
            "rate": _rate(session),
            "drift": _drift(call, claims, session, baseline),
            "revoked": session.revoked_reason is not None,
            "revoked_reason": session.revoked_reason,
        },
    }
    budget = Budget()
    granted = claims.get("parameter_constraints")
    constraints = judged(call.tool_name, call.call_args, granted, budget)
    if constraints is not None:
        document["constraints"] = constraints
    if child is not None:
        document["child"] = dict(child)
    document["matches"] = matchers.judge(document, budget)
    return document


def server_limit(call: Call, claims: Mapping[str, Any]) -> int:
    """The calls per minute that the token allows to the MCP server of the call; 0: no limit.

    Tokens of former programs do not speak of it.
    """
    limits: Mapping[str, int] = claims["bound"].get("mcp_server_rate_limits", {})
    return 0 if call.mcp_server is None else limits.get(call.mcp_server, 0)


def _claims(call: Call, claims: Mapping[str, Any]) -> dict[str, Any]:
    """The token without what concerns other tools and servers: a lean input is a fast one."""
    document = {name: value for name, value in claims.items() if name != "parameter_constraints"}
    if "bound" in claims:
        document["bound"] = _bound(call, claims)
    return document


def _bound(call: Call, claims: Mapping[str, Any]) -> dict[str, Any]:
    bound = {name: value for name, value in claims["bound"].items() if name not in _LOGGED}
    if "mcp_server_rate_limits" in bound:
        limit = server_limit(call, claims)
        bound["mcp_server_rate_limits"] = {call.mcp_server: limit} if limit else {}
    return bound


def _now(now_ms: int) -> dict[str, int]:
    hours = now_ms // _HOUR_MS
    return {"epoch_ms": now_ms, "hour": hours % 24, "weekday": (hours // 24 + _THURSDAY) % 7}


def _rate(session: SessionFacts) -> dict[str, Any]:
    windows = {"minute": _window(session.minute), "hour": _window(session.hour)}
    if session.server is not None:
        windows["server"] = _window(session.server)
    return windows


def _window(window: Window) -> dict[str, Any]:
    return {
        "limit": window.limit,
        "granted": window.granted,
        "remaining": window.remaining,
        "retry_after_seconds": window.retry_after_seconds,
    }


def _drift(
    call: Call, claims: Mapping[str, Any], session: SessionFacts, baseline: Baseline | None
) -> dict[str, Any]:
    """What the session's calls before this one and this one together say of the baseline."""
    tools = claims.get("allowed_tools", ())
    slots = zip((*tools, _OTHERS), session.counts, strict=False)
    counts = {tool: calls for tool, calls in slots if calls}
    if call.tool_name is not None:
        tool = call.tool_name if call.tool_name in tools else _OTHERS
        counts[tool] = counts.get(tool, 0) + 1
    drift = judge(counts, baseline, latched=session.latched)
    return {
        "ready": drift.ready,
        "log_evidence": _spelled(drift.log_evidence),
        "latched": drift.latched,
        "calls": drift.calls,
        "baseline_sessions": drift.baseline_sessions,
    }


def _spelled(number: float) -> float:
    """As JSON that is read here spells a number: what was recorded is what was asked, exactly."""
    return int(number) if number.is_integer() else number
