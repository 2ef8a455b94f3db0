"""Examples of sessions as they are looked at."""

from typing import Final

SESSION_ID: Final = "47bb16ec-e06a-4090-9a4a-e0873e680545"
STATE: Final = {
    "session_id": SESSION_ID,
    "status": "active",
    "agent_id": "agent:3bcedc38-a87a-4c2a-bc50-7693cb90af2d",
    "role": "invoice-processor",
    "role_id": "3bcedc38-a87a-4c2a-bc50-7693cb90af2d",
    "role_revision": 1,
    "created_at": "2026-04-29T04:04:40Z",
    "expires_at": "2026-04-29T04:19:40Z",
    "revoked_at": None,
    "revoked_reason": None,
    "parent_session_id": None,
    "root_session_id": SESSION_ID,
    "delegation_depth_remaining": 1,
    "rate": {
        "minute": {"limit": 30, "remaining": 28, "retry_after_seconds": 0},
        "hour": {"limit": 500, "remaining": 498, "retry_after_seconds": 0},
    },
    "calls": {"read_invoices": 2},
    "drift": {
        "ready": True,
        "log_evidence": -0.81,
        "latched": False,
        "calls": 2,
        "baseline_sessions": 50,
    },
}
SESSION: Final = {
    **STATE,
    "children": [
        {
            "session_id": "0a4c1f7e-7d2b-4a53-9f0e-2f2c8f1a9b10",
            "role": "invoice-reader",
            "status": "active",
            "expires_at": "2026-04-29T04:19:40Z",
        }
    ],
}
REVOCATION: Final = {
    "revoked": True,
    "session_id": SESSION_ID,
    "reason": "MANUAL",
    "sessions_ended": 2,
}
