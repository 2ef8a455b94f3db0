"""The reference, restated in plain Python: which codes must fire for a role, a call and a clock.

Written from the documents and nothing else: it shares no code with the engine, so that a mistake
would have to be made twice, in two languages, to go unnoticed.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PRECEDENCE = (
    "SESSION_EXPIRED",
    "SCOPE_VIOLATION",
    "MCP_SERVER_UNAUTHORIZED",
    "DELEGATION_DEPTH_EXCEEDED",
    "DELEGATION_SCOPE_EXCEEDED",
    "ENV_VIOLATION",
    "PARAMETER_VIOLATION",
    "DATA_LIMIT_EXCEEDED",
    "TIME_VIOLATION",
    "APPROVAL_REQUIRED",
    "RATE_LIMIT_EXCEEDED",
    "BEHAVIORAL_DRIFT",
)


ALPHA, MIN_CALLS, MIN_BASELINE_SESSIONS = 0.001, 10, 20


@dataclass(frozen=True)
class Habit:
    """What past sessions of a role did: `shares` are of the tools, and at last of all others."""

    tools: tuple[str, ...]
    shares: tuple[float, ...]
    concentration: float
    sessions: int


@dataclass(frozen=True)
class Situation:
    """A role as posted, a call, and when: seconds since the epoch, and since the session began.

    The same call was sent `calls_before` times in the session.
    """

    role: dict[str, Any]
    tool_name: str
    call_args: dict[str, Any]
    mcp: bool
    mcp_server: str | None
    now: int
    age: int
    ttl: int
    calls_before: int
    habit: Habit | None = None


def codes(case: Situation) -> list[str]:
    """The codes that must fire, primary first; none is an allow."""
    allowed, drifted, fired = 0, False, dict[str, bool]()
    for sent in range(case.calls_before + 1):
        drifted = drifted or _drift_refused(case, allowed + 1)
        fired = _but_for_drift(case, sent) | {"BEHAVIORAL_DRIFT": drifted}
        allowed += not any(fired.values())
    return [code for code in PRECEDENCE if fired.get(code)]


def _but_for_drift(case: Situation, sent: int) -> dict[str, bool]:
    return {
        "SESSION_EXPIRED": case.age >= case.ttl,
        "SCOPE_VIOLATION": case.tool_name not in case.role["allowed_tools"],
        "MCP_SERVER_UNAUTHORIZED": _server_refused(case),
        "ENV_VIOLATION": _env_refused(case),
        "PARAMETER_VIOLATION": _parameters_refused(case),
        "DATA_LIMIT_EXCEEDED": _limit_refused(case),
        "TIME_VIOLATION": _time_refused(case),
        "APPROVAL_REQUIRED": case.tool_name in case.role.get("approval_required", []),
        "RATE_LIMIT_EXCEEDED": _rate_refused(case, sent),
    }


def _drift_refused(case: Situation, calls: int) -> bool:
    """Whether so many calls, all of the one tool, are drift: call by call, as a urn is drawn from.

    What a session may do instead of its habit is anything, each tool half a call ahead.
    """
    habit = case.habit
    if habit is None or calls < MIN_CALLS or habit.sessions < MIN_BASELINE_SESSIONS:
        return False
    place = habit.tools.index(case.tool_name) if case.tool_name in habit.tools else -1
    ahead, evidence = habit.concentration * habit.shares[place], 0.0
    for drawn in range(calls):
        evidence += math.log((0.5 + drawn) / (0.5 * len(habit.shares) + drawn))
        evidence -= math.log((ahead + drawn) / (habit.concentration + drawn))
    return evidence >= math.log(1 / ALPHA)


def _server_refused(case: Situation) -> bool:
    servers = case.role.get("allowed_mcp_servers", [])
    return bool(case.mcp and servers and case.mcp_server not in servers)


def _env_refused(case: Situation) -> bool:
    allowed = case.role.get("data_scope", {}).get("allowed_envs", [])
    env = case.call_args.get("env")
    return bool(allowed) and env is not None and not (isinstance(env, str) and env in allowed)


def _limit_refused(case: Situation) -> bool:
    most = case.role.get("data_scope", {}).get("max_rows", 0)
    limit = case.call_args.get("limit")
    if not most or limit is None:
        return False
    return not is_number(limit) or limit != int(limit) or not 1 <= limit <= most


def _time_refused(case: Situation) -> bool:
    moment = datetime.fromtimestamp(case.now, UTC)
    days = case.role.get("allowed_days", [])
    if days and moment.weekday() not in days:
        return True
    start, end = case.role.get("allowed_hours_start", 0), case.role.get("allowed_hours_end", 0)
    if start == 0 and end == 0:
        return False
    if end == 0:
        return moment.hour < start
    if start < end:
        return not start <= moment.hour < end
    return end <= moment.hour < start


def _rate_refused(case: Situation, sent: int) -> bool:
    limits = [case.role.get(f"rate_limit_per_{window}", 0) for window in ("minute", "hour")]
    if case.mcp:
        limits.append(case.role.get("mcp_server_rate_limits", {}).get(case.mcp_server, 0))
    return any(limit and sent >= limit for limit in limits)


def _parameters_refused(case: Situation) -> bool:
    constraints = case.role.get("parameter_constraints", {}).get(case.tool_name, [])
    return any(_violated(constraint, case.call_args) for constraint in constraints)


def _violated(constraint: dict[str, Any], arguments: dict[str, Any]) -> bool:
    field, operator, wanted = constraint["field"], constraint["operator"], constraint["value"]
    found = _found(field, arguments)
    if not found:
        return bool(constraint.get("required", False))
    return not all(fit and _holds(operator, value, wanted) for fit, value in found)


def _found(field: str, arguments: dict[str, Any]) -> list[tuple[bool, Any]]:
    found = [(True, arguments[field])] if field in arguments else []
    if "." in field:
        value: Any = arguments
        for step in field.split("."):
            if not isinstance(value, dict):
                return [*found, (False, None)]
            if step not in value:
                return found
            value = value[step]
        found.append((True, value))
    return found


def _holds(operator: str, value: Any, wanted: Any) -> bool:
    if operator == "eq":
        return same(value, wanted)
    if operator == "in":
        return any(same(value, one) for one in wanted)
    if operator in {"lt", "gt"}:
        if not is_number(value):
            return False
        return bool(value < wanted) if operator == "lt" else bool(value > wanted)
    if not isinstance(value, str):
        return False
    return wanted in value if operator == "contains" else re.search(wanted, value) is not None


def is_number(value: Any) -> bool:
    """A JSON number; true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, true is not 1."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
