"""Examples of roles."""

from typing import Any, Final

ROLE_ID: Final = "3bcedc38-a87a-4c2a-bc50-7693cb90af2d"
ROLE_REQUEST: Final[dict[str, Any]] = {
    "name": "invoice-processor",
    "description": "Processes invoices — read only",
    "allowed_tools": ["read_invoices", "send_email"],
    "default_ttl_seconds": 3600,
    "max_delegation_depth": 1,
    "rate_limit_per_minute": 30,
    "rate_limit_per_hour": 500,
    "parent_role_id": "base-agent",
    "parameter_constraints": {
        "send_email": [{"field": "to", "operator": "regex", "value": ".*@company\\.com$"}],
        "read_invoices": [{"field": "amount", "operator": "lt", "value": 50000}],
    },
    "allowed_hours_start": 8,
    "allowed_hours_end": 20,
    "allowed_days": [0, 1, 2, 3, 4],
    "data_scope": {"allowed_envs": ["staging", "production"], "max_rows": 1000},
    "webhook_url": "https://your-server.com/webhooks/scopebound",
    "webhook_secret": "your-hmac-secret",
}
ROLE: Final[dict[str, Any]] = {
    **{name: value for name, value in ROLE_REQUEST.items() if name != "webhook_secret"},
    "id": ROLE_ID,
    "default_ttl": 3600,
    "parent_role_id": "8ddcf3ca-1281-4668-9333-f067b989337f",
    "webhook_secret_hint": "your-hma***",
    "approval_required": [],
    "approval_ttl_seconds": 0,
    "allowed_mcp_servers": [],
    "mcp_server_rate_limits": {},
    "log_mask": [],
    "suspended": False,
    "suspended_reason": None,
    "created_at": "2026-04-29T12:00:00Z",
    "updated_at": "2026-04-29T12:00:00Z",
}
SUSPENDED_ROLE: Final = {**ROLE, "suspended": True, "suspended_reason": "key leaked"}
CHANGED_ROLE: Final = {**ROLE, "warnings": []}
UPDATED_ROLE: Final = {**CHANGED_ROLE, "sessions_with_former_claims": 3}
ROLE_CHANGES: Final = {"allowed_tools": ["read_invoices"], "rate_limit_per_minute": 10}
ROLE_LIST: Final = {"count": 1, "roles": [ROLE]}
SUSPENSION: Final = {"reason": "key leaked"}
DELETED_ROLE: Final = {"deleted": True, "id": ROLE_ID, "name": "invoice-processor"}
ENDED_SESSIONS: Final = {"id": ROLE_ID, "name": "invoice-processor", "sessions_ended": 3}
