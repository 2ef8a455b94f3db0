"""Examples of webhooks."""

from typing import Final

from scopebound_engine.api.examples.roles import ROLE_ID

WEBHOOK_ID: Final = "019dd926-a600-7c3e-8a1b-5f2d4c6e8b90"
PAYLOAD: Final = {
    "event": "deny",
    "deny_code": "SCOPE_VIOLATION",
    "severity": "medium",
    "tool_name": "delete_invoice",
    "agent_id": f"agent:{ROLE_ID}",
    "role": "invoice-processor",
    "session_id": "47bb16ec-e06a-4090-9a4a-e0873e680545",
    "reason": 'tool "delete_invoice" is not in allowed_tools',
    "timestamp": "2026-04-29T12:00:00Z",
}
DELIVERED: Final = {
    "webhook_id": "0b9f1f6c-54a8-4f3e-8d5e-0c8f4ce5a1d7",
    "delivered": True,
    "status": 204,
    "problem": None,
    "milliseconds": 41.7,
}
FAILED: Final = {
    "webhook_id": "0b9f1f6c-54a8-4f3e-8d5e-0c8f4ce5a1d7",
    "delivered": False,
    "status": 302,
    "problem": "it answered 302, which is not followed",
    "milliseconds": 38.2,
}
DEAD_LETTERS: Final = {
    "count": 1,
    "dead_letters": [
        {
            "webhook_id": WEBHOOK_ID,
            "role_id": ROLE_ID,
            "attempts": 2,
            "error": "it answered 503",
            "given_up_at": "2026-04-29T12:00:04Z",
            "payload": PAYLOAD,
        }
    ],
    "next": None,
}
RETRIED: Final = {"webhook_id": WEBHOOK_ID, "role_id": ROLE_ID, "retried": True}
