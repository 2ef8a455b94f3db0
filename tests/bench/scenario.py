"""What is asked: a role, one of its tools, and arguments; all of it allowed.

The typical call, and those that differ from it in one dimension.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_UNLIMITED = 1_000_000_000
ROLE: dict[str, Any] = {
    "name": "bench",
    "allowed_tools": ["read_invoices", "send_email", "list_vendors"],
    "parameter_constraints": {
        "send_email": [{"field": "to", "operator": "regex", "value": r"^[^@]+@company\.com$"}],
        "read_invoices": [{"field": "amount", "operator": "lt", "value": 50000}],
    },
    "allowed_days": [0, 1, 2, 3, 4, 5, 6],
    "data_scope": {"allowed_envs": ["staging", "production"], "max_rows": 1000},
    "rate_limit_per_minute": _UNLIMITED,
    "rate_limit_per_hour": _UNLIMITED,
}
ARGUMENTS = {"status": "pending", "amount": 25000, "env": "staging", "limit": 100}
# PostgreSQL as an installation has it; the tests' servers trade safety for speed.
DURABLE = ("fsync=on", "full_page_writes=on", "shared_buffers=128MB")
_VERBS = ("read", "list", "search", "export", "approve", "archive", "update", "send", "share")
_NOUNS = ("invoices", "vendors", "orders", "payments", "contracts", "refunds", "reports")
_PROSE = "Please settle the invoice of March before the end of the month; details are attached. "


@dataclass(frozen=True)
class Scenario:
    """A role as the API takes it, and the call of one of its tools."""

    role: Mapping[str, Any]
    tool: str
    arguments: Mapping[str, Any]


TYPICAL = Scenario(ROLE, "read_invoices", ARGUMENTS)


def with_tools(count: int) -> Scenario:
    """A role of so many tools, every tenth with a constraint; the call is of the last one."""
    others = [
        f"{_VERBS[number % len(_VERBS)]}_{_NOUNS[number % len(_NOUNS)]}_{number}"
        for number in range(count - 1)
    ]
    constraints = {
        tool: [{"field": "amount", "operator": "lt", "value": 1000 + number}]
        for number, tool in enumerate(others)
        if number % 10 == 0
    }
    role = ROLE | {
        "name": f"bench-{count}-tools",
        "allowed_tools": [*others, "read_invoices"],
        "parameter_constraints": constraints
        | {"read_invoices": ROLE["parameter_constraints"]["read_invoices"]},
    }
    return Scenario(role, "read_invoices", ARGUMENTS)


def with_bytes(size: int) -> Scenario:
    """Arguments that are so many bytes of JSON, most of them one text that no rule reads."""
    room = size - len(json.dumps(ARGUMENTS | {"message": ""}))
    text = (_PROSE * (room // len(_PROSE) + 1))[:room]
    return Scenario(ROLE, "read_invoices", ARGUMENTS | {"message": text})


def with_values(count: int) -> Scenario:
    """Arguments of so many values, most of them in one list that no rule reads."""
    listed = [100_000 + number for number in range(count - len(ARGUMENTS))]
    return Scenario(ROLE, "read_invoices", ARGUMENTS | {"invoice_ids": listed})
