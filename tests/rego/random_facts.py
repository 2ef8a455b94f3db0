"""Facts of random calls: mostly as the service makes them, sometimes with parts that are not."""

import copy
import random
from typing import Any

_TOOLS = ["read", "pay", "delete", 'x","allow":true,"z":"', "17", "é"]
_SERVERS = [None, "erp", "fs"]
_ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**64 + 5,
    "",
    "1",
    "\\",
    [],
    ["read"],
    {},
    {"a": 1},
]


def facts(rng: random.Random) -> dict[str, Any]:
    """One document; its claims and the rest are in no order that a rule could rely on."""
    document = _whole(rng)
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        _spoil(document, rng)
    return document


def _whole(rng: random.Random) -> dict[str, Any]:
    now = 1_800_000_000_000 + rng.randrange(7 * 24) * 3_600_000
    action = rng.choice(["tool_call", "tool_call", "mcp_tool_call", "delegate"])
    return {
        "action": action,
        "tool_name": None if action == "delegate" else rng.choice(_TOOLS),
        "call_args": _arguments(rng),
        "call_id": "c",
        "mcp_server": rng.choice(_SERVERS) if action == "mcp_tool_call" else None,
        "claims": {
            "exp": now // 1_000 + rng.choice([3_600, 3_600, 3_600, 0, -5]),
            "allowed_tools": rng.sample(_TOOLS, rng.randrange(1, 6)),
            "allowed_hours_start": rng.choice([0, 0, 8, 22]),
            "allowed_hours_end": rng.choice([0, 0, 6, 20]),
            "allowed_days": rng.choice([[], [], [0, 1, 2, 3, 4]]),
            "data_scope": {
                "allowed_envs": rng.choice([[], ["prod"], ["prod", "dev"]]),
                "max_rows": rng.choice([0, 100]),
            },
            "delegation_depth_remaining": rng.randrange(3),
            "bound": {
                "approval_required": rng.choice([[], [], ["pay"]]),
                "allowed_mcp_servers": rng.choice([[], ["erp"]]),
                "mcp_server_rate_limits": {},
            },
        },
        "now": {"epoch_ms": now, "hour": now // 3_600_000 % 24, "weekday": rng.randrange(7)},
        "session": {
            "rate": {"minute": _window(rng), "hour": _window(rng)},
            "drift": {
                "ready": rng.random() < 0.5,
                "log_evidence": rng.choice([0, 3.5, 8.25]),
                "latched": rng.random() < 0.1,
                "calls": rng.randrange(20),
                "baseline_sessions": rng.choice([0, 40]),
            },
            "revoked": rng.random() < 0.1,
            "revoked_reason": None,
        },
        "constraints": [_constraint(rng) for _ in range(rng.choice([0, 0, 1, 2, 3]))],
        "matches": {},
        **({"child": _child(rng)} if action == "delegate" else {}),
    }


def _arguments(rng: random.Random) -> dict[str, Any]:
    found = {"amount": rng.choice([1, 499, 500.5, "7"]), "17": '","17","', "note": "12\n"}
    found |= {"limit": rng.choice([1, 100, 101, 2.5, None])} if rng.random() < 0.5 else {}
    return found | ({"env": rng.choice(["prod", "dev", None, 3])} if rng.random() < 0.5 else {})


def _window(rng: random.Random) -> dict[str, Any]:
    granted = rng.random() < 0.85
    return {
        "limit": 5,
        "granted": granted,
        "remaining": 4 if granted else 0,
        "retry_after_seconds": 0 if granted else rng.choice([1, 30]),
    }


def _constraint(rng: random.Random) -> dict[str, Any]:
    operator = rng.choice(["eq", "lt", "gt", "in", "contains", "regex"])
    rule: dict[str, Any] = {
        "field": "amount",
        "operator": operator,
        "value": {"in": [1, "a"], "contains": "x", "regex": "^x$"}.get(operator, 500),
        "required": rng.random() < 0.2,
        "present": rng.random() < 0.8,
        "fit": rng.random() < 0.9,
    }
    if rule["present"] and rule["fit"]:
        rule["actual"] = rng.choice([1, 500, 700.25])
        if operator in ("contains", "regex"):
            rule["matched"] = rng.random() < 0.5
    return rule


def _child(rng: random.Random) -> dict[str, Any]:
    tools = rng.sample(_TOOLS, rng.randrange(3))
    return {"role": "child", "allowed_tools": tools, "ttl_seconds": 60}


def _spoil(document: dict[str, Any], rng: random.Random) -> None:
    """Takes something out, or puts something odd in its place."""
    inside: Any = document
    while True:
        key = rng.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
        if isinstance(inside[key], dict | list) and inside[key] and rng.random() < 0.7:
            inside = inside[key]
        elif isinstance(inside, dict) and rng.random() < 0.5:
            del inside[key]
            return
        else:
            inside[key] = copy.deepcopy(rng.choice(_ODD))
            return
