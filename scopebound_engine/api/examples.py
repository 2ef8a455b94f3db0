"""One example per operation, from the API reference; a test puts each to the real app."""

from typing import Any, Final

ROLE_ID: Final = "3bcedc38-a87a-4c2a-bc50-7693cb90af2d"
API_KEY_ID: Final = "5f0c64b1-9d0f-4c0c-8c6b-0d6f7e2f9a10"
_TOKEN: Final = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9..."  # noqa: S105 - the reference's stump of one
_BUNDLE: Final = {
    "bundle_id": "feed6359-c16c-4d1c-910d-6440c8b95b60",
    "bundle_version": "1.0.0",
    "bundle_checksum": "e47bc950ffd3a8c362ded5e5f7b6d988706acd94991340b1f0c7da4c9bcddd55",
}
_SCOPE_VIOLATION: Final = {
    "severity": "medium",
    "reason": 'tool "delete_invoice" is not in allowed_tools',
    "retry_guidance": "none",
}

SESSION_REQUEST: Final = {"role_id": "invoice-processor", "requested_ttl": 900}
SESSION: Final = {
    "jwt": _TOKEN,
    "session_id": "47bb16ec-e06a-4090-9a4a-e0873e680545",
    "expires_at": "2026-04-29T04:19:40Z",
}
TOOL_CALL: Final = {
    "jwt": _TOKEN,
    "tool_name": "read_invoices",
    "call_args": {"status": "pending", "amount": 25000, "env": "staging"},
    "call_id": "abc123",
}
MCP_TOOL_CALL: Final = {
    "jwt": _TOKEN,
    "tool_name": "read_file",
    "arguments": {"path": "/reports/april.csv"},
    "mcp_server": "filesystem",
    "call_id": "abc123",
}
ALLOW: Final = {"decision": "allow", "call_id": "abc123", "latency_ms": 1.2, **_BUNDLE}
DENIAL: Final = {
    "decision": "deny",
    "call_id": "abc123",
    "deny_code": "SCOPE_VIOLATION",
    **_SCOPE_VIOLATION,
    "latency_ms": 1.1,
    "violations": [{"code": "SCOPE_VIOLATION", **_SCOPE_VIOLATION}],
    **_BUNDLE,
}

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
    "suspended": False,
    "suspended_reason": None,
    "created_at": "2026-04-29T12:00:00Z",
    "updated_at": "2026-04-29T12:00:00Z",
}
SUSPENDED_ROLE: Final = {**ROLE, "suspended": True, "suspended_reason": "key leaked"}
CHANGED_ROLE: Final = {**ROLE, "warnings": []}
ROLE_CHANGES: Final = {"allowed_tools": ["read_invoices"], "rate_limit_per_minute": 10}
ROLE_LIST: Final = {"count": 1, "roles": [ROLE]}
SUSPENSION: Final = {"reason": "key leaked"}
DELETED_ROLE: Final = {"deleted": True, "id": ROLE_ID, "name": "invoice-processor"}

API_KEY_REQUEST: Final = {
    "name": "invoice-agents",
    "scopes": ["enforce"],
    "roles": ["invoice-processor"],
}
API_KEY: Final[dict[str, Any]] = {
    **API_KEY_REQUEST,
    "id": API_KEY_ID,
    "hint": "sb-Zx1y0",
    "created_at": "2026-04-29T12:00:00Z",
    "last_used_at": None,
    "revoked_at": None,
}
NEW_API_KEY: Final = {**API_KEY, "api_key": "sb-Zx1y0…"}
REVOKED_API_KEY: Final = {**API_KEY, "revoked_at": "2026-04-30T08:15:00Z"}
API_KEY_LIST: Final = {"count": 1, "api_keys": [API_KEY]}

HEALTH: Final = {
    "status": "ok",
    "sprint": "7",
    "uptime_seconds": 3600,
    "bundle_version": "1.0.0",
    "bundle_last_synced_at": "2026-04-29T12:00:00Z",
    "db_status": "ok",
}
KEY_SET: Final = {
    "keys": [
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "node-1", "n": "u1SU1LfV…", "e": "AQAB"}
    ]
}
PROBLEM: Final = {
    "type": "urn:scopebound:problem:invalid-request",
    "title": "The request is unfit",
    "status": 400,
    "detail": "allowed_tools: must be an array, not a string",
    "instance": "0b9f1f6c-54a8-4f3e-8d5e-0c8f4ce5a1d7",
    "field": "allowed_tools",
}
