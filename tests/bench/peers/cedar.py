"""The same rules in Cedar (https://docs.cedarpolicy.com), by cedarpy: Cedar's own engine, in Rust.

What a call carries is the request's context. Policies and entities are parsed once.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any

import cedarpy

from tests.bench.peers.question import DENIED, Decide, Question

_GRANTED = """
permit(principal in Role::"bench", action == Action::"call", resource)
when { principal.allowed_tools.contains(context.tool) };
"""
_FORBIDDEN = {
    "SESSION_EXPIRED": "context.revoked || context.now >= context.exp",
    "ENV_VIOLATION": (
        'context.args has env && !["staging", "production"].contains(context.args.env)'
    ),
    "PARAMETER_VIOLATION": (
        'context.tool == "read_invoices" && context.args has amount && context.args.amount >= 50000'
        ' || context.tool == "send_email" && context.args has to'
        ' && !(context.args.to like "*@company.com")'
    ),
    "DATA_LIMIT_EXCEEDED": (
        "context.args has limit && !(1 <= context.args.limit && context.args.limit <= 1000)"
    ),
    "TIME_VIOLATION": "![0, 1, 2, 3, 4, 5, 6].contains(context.weekday)",
    "RATE_LIMIT_EXCEEDED": "!context.minute_granted || !context.hour_granted",
    "BEHAVIORAL_DRIFT": "context.latched",
}
# cedarpy names policies by their number; the first is the permission.
_CODES = {f"policy{number}": code for number, code in enumerate(_FORBIDDEN, start=1)}
_ENTITIES: list[dict[str, Any]] = [
    {"uid": {"type": "Role", "id": "bench"}, "attrs": {}, "parents": []},
    {
        "uid": {"type": "Agent", "id": "agent"},
        "attrs": {"allowed_tools": ["read_invoices", "send_email", "list_vendors"]},
        "parents": [{"type": "Role", "id": "bench"}],
    },
]
_REQUEST = {
    "principal": {"type": "Agent", "id": "agent"},
    "action": {"type": "Action", "id": "call"},
    "resource": {"type": "Tool", "id": "any"},
}


def opened() -> Decide:
    """Parses policies and entities."""
    forbidden = (
        f"forbid(principal, action, resource) when {{ {when} }};" for when in _FORBIDDEN.values()
    )
    policies = cedarpy.PolicySet.from_str("\n".join([_GRANTED, *forbidden]))
    entities = cedarpy.Entities.from_json_str(json.dumps(_ENTITIES))

    def decide(question: Question) -> str | None:
        answer = cedarpy.is_authorized(
            _REQUEST | {"context": context(question)}, policies, entities
        )
        # Cedar leaves out a policy that fails, a prohibition too: an allow is none then.
        if answer.diagnostics.errors:
            return DENIED
        if answer.allowed:
            return None
        return next((_CODES[name] for name in answer.diagnostics.reasons), "SCOPE_VIOLATION")

    return decide


def context(question: Question) -> dict[str, Any]:
    """What the policies ask of a call."""
    claims, session, now = question.facts["claims"], question.facts["session"], time.time()
    return {
        "tool": question.tool,
        "args": question.arguments,
        "revoked": session["revoked"],
        "now": int(now),
        "exp": claims["exp"],
        "weekday": datetime.fromtimestamp(now, UTC).weekday(),
        "minute_granted": session["rate"]["minute"]["granted"],
        "hour_granted": session["rate"]["hour"]["granted"],
        "latched": session["drift"]["latched"],
    }
