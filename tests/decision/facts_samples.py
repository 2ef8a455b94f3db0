"""Claims and a session, and what the Rego input says of a call's constraints."""

from datetime import UTC, datetime
from typing import Any

from scopebound_engine.decision.facts import Call, build
from scopebound_engine.session.state.seam import SessionFacts, Window

SESSION = SessionFacts(
    minute=Window(limit=30, granted=True, remaining=29, retry_after_seconds=0),
    hour=Window(limit=0, granted=True, remaining=0, retry_after_seconds=0),
)
# 2026-04-29 was a Wednesday.
WEDNESDAY_MS = int(datetime(2026, 4, 29, 7, 59, 59, 999_000, UTC).timestamp() * 1000)
CLAIMS: dict[str, Any] = {
    "sub": "agent:3bcedc38-a87a-4c2a-bc50-7693cb90af2d",
    "jti": "47bb16ec-e06a-4090-9a4a-e0873e680545",
    "allowed_tools": ["pay", "send_email"],
    "parameter_constraints": {
        "send_email": [
            {"field": "to", "operator": "regex", "value": r"@company\.com$", "required": False}
        ]
    },
}


def constrained(field: str, operator: str, value: Any, required: bool = False) -> dict[str, Any]:
    rule = {"field": field, "operator": operator, "value": value, "required": required}
    return {**CLAIMS, "parameter_constraints": {"pay": [rule]}}


def constraints(claims: dict[str, Any], call_args: dict[str, Any], tool: str = "pay") -> Any:
    call = Call("tool_call", tool, call_args, "call-1")
    return build(call, claims, WEDNESDAY_MS, SESSION)["constraints"]


def findings(operator: str, value: Any, call_args: dict[str, Any], field: str = "a.b") -> Any:
    own = {"field", "operator", "value", "required"}
    return [
        {name: fact for name, fact in entry.items() if name not in own}
        for entry in constraints(constrained(field, operator, value), call_args)
    ]


ABSENT = {"present": False, "fit": True}
UNFIT = {"present": True, "fit": False}


def fit(actual: Any, **matched: bool) -> dict[str, Any]:
    return {"present": True, "fit": True, "actual": actual, **matched}
