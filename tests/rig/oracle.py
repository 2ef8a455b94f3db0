"""The independent oracle: what must be answered to each kind of call, under each flavor of bundle.

A second Rego engine judges facts that are made here, from the role as posted and the call as sent,
in a few lines of Python that share nothing with the engine's. What limits do is reckoned apart, see
`checker.py`: here every bucket has a token.
"""

import json
import re
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import regorus

from tests.bundles import bundle_files
from tests.rig.history import ALLOW
from tests.rig.mix import CALLS, DAY, Call, roles

# Flavors of bundles, by whether they deny calls of the marked tool.
FLAVORS: Mapping[str, bool] = {"lenient": False, "strict": True}
_GRANTED = {"limit": 0, "granted": True, "remaining": 0, "retry_after_seconds": 0}
_DRIFT = {"ready": False, "log_evidence": 0, "latched": False, "calls": 1, "baseline_sessions": 0}


@cache
def expected() -> Mapping[str, list[str]]:
    """By flavor, for each kind of call: "allow", or the code of the denial."""
    return {flavor: [_judged(flavor, call) for call in CALLS] for flavor in FLAVORS}


def facts(call: Call, now: float) -> dict[str, Any]:
    """The Rego input of a call at this moment, in epoch seconds."""
    role, moment = roles()[call.role], time.gmtime(now)
    scope = {"allowed_envs": [], "max_rows": 0} | role.get("data_scope", {})
    return {
        "action": "mcp_tool_call" if call.mcp else "tool_call",
        "tool_name": call.tool,
        "call_args": dict(call.arguments),
        "call_id": "any",
        "mcp_server": call.server,
        "claims": {
            "exp": int(now) + DAY,
            "role": role["name"],
            "allowed_tools": role["allowed_tools"],
            "allowed_hours_start": 0,
            "allowed_hours_end": 0,
            "allowed_days": role.get("allowed_days", []),
            "data_scope": scope,
            "delegation_depth_remaining": 0,
            "bound": {
                "approval_required": role.get("approval_required", []),
                "allowed_mcp_servers": role.get("allowed_mcp_servers", []),
                "mcp_server_rate_limits": {},
            },
        },
        "now": {
            "epoch_ms": int(now * 1000),
            "hour": moment.tm_hour,
            "weekday": moment.tm_wday,
        },
        "session": {
            "rate": {"minute": _GRANTED, "hour": _GRANTED},
            "drift": _DRIFT,
            "revoked": False,
            "revoked_reason": None,
        },
        "constraints": [
            {"required": False, **rule, **_found(rule, call.arguments)}
            for rule in role.get("parameter_constraints", {}).get(call.tool, [])
        ],
        "matches": {},
    }


def _found(rule: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a constraint finds in the arguments; no call of the mix has a path or a near miss."""
    if rule["field"] not in arguments:
        return {"present": False, "fit": True}
    value = arguments[rule["field"]]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if rule["operator"] == "lt" and not is_number:
        return {"present": True, "fit": False}
    if rule["operator"] == "regex":
        if not isinstance(value, str):
            return {"present": True, "fit": False}
        matched = re.search(rule["value"], value) is not None
        return {"present": True, "fit": True, "actual": value, "matched": matched}
    return {"present": True, "fit": True, "actual": value}


@cache
def _engine(flavor: str) -> Any:
    engine = regorus.Engine()
    for name, content in bundle_files("1.0.0", denies=FLAVORS[flavor]).items():
        if name.endswith(".rego"):
            engine.add_policy(name, content.decode())
        elif name.endswith("/data.json"):
            nested: Any = json.loads(content)
            for step in reversed(name.split("/")[:-1]):
                nested = {step: nested}
            engine.add_data_json(json.dumps(nested))
    return engine


def _judged(flavor: str, call: Call) -> str:
    if call.says:
        return call.says
    engine = _engine(flavor)
    engine.set_input_json(json.dumps(facts(call, time.time())))
    decision = json.loads(engine.eval_rule_as_json("data.scopebound.decision"))
    codes = [violation["code"] for violation in decision["violations"]]
    return codes[0] if codes or not decision["allow"] else ALLOW
