"""Examples of records and of usage."""

from typing import Any, Final

RECORD_ID: Final = "019dd91c-3e7b-70a9-bb8d-363befbcc1d8"
_NODE: Final = "0d3b4a52-9f0c-4a53-8a3a-1f0a4c7d9e11"
DECISION: Final[dict[str, Any]] = {
    "chain": {
        "node": _NODE,
        "prev": "9f2c1d6f0a2b4c8e7d5f3a1b9c8e7d6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d",
        "seq": 1250,
    },
    "record": {
        "id": RECORD_ID,
        "at": "2026-04-29T12:00:00.123456Z",
        "at_us": 1_777_464_000_123_456,
        "event": "tool_call.deny",
        "node": _NODE,
        "decision": "deny",
        "deny_code": "SCOPE_VIOLATION",
        "tool_name": "delete_invoice",
    },
}
PAGE: Final = {
    "count": 1,
    "decisions": [DECISION],
    "next": f"{DECISION['record']['at_us']}/1250/{_NODE}",
}
USAGE: Final = {
    "window_hours": 24,
    "total_calls": 1250,
    "allow_count": 1180,
    "deny_count": 70,
    "allow_rate": 0.94,
    "deny_rate": 0.06,
    "top_denied_tools": [
        {"tool_name": "delete_invoice", "deny_count": 45},
        {"tool_name": "export_data", "deny_count": 25},
    ],
    "unnamed_deny_count": 0,
    "calls_by_hour": [{"hour": "2026-04-29T00:00:00Z", "allow_count": 1180, "deny_count": 70}],
}
