"""The JSON of the API reference and the commands of the troubleshooting page, to the letter."""

import json
from typing import Any

PROVISION_RESPONSE: dict[str, Any] = json.loads(r"""
{
  "jwt": "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9...",
  "session_id": "47bb16ec-e06a-4090-9a4a-e0873e680545",
  "expires_at": "2026-04-29T04:19:40Z"
}
""")

ENFORCE_REQUEST: dict[str, Any] = json.loads(r"""
{
  "jwt": "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9...",
  "tool_name": "read_invoices",
  "call_args": {
    "status": "pending",
    "amount": 25000,
    "env": "staging"
  },
  "call_id": "optional-idempotency-key"
}
""")

ALLOW: dict[str, Any] = json.loads(r"""
{
  "decision": "allow",
  "call_id": "abc123",
  "latency_ms": 1.2
}
""")

DENY: dict[str, Any] = json.loads(r"""
{
  "decision": "deny",
  "call_id": "abc123",
  "deny_code": "SCOPE_VIOLATION",
  "severity": "medium",
  "reason": "tool \"delete_invoice\" is not in allowed_tools",
  "retry_guidance": "none",
  "latency_ms": 1.1
}
""")

SEVERITIES: dict[str, str] = {
    "SCOPE_VIOLATION": "medium",
    "PARAMETER_VIOLATION": "high",
    "ENV_VIOLATION": "high",
    "TIME_VIOLATION": "medium",
    "DATA_LIMIT_EXCEEDED": "high",
    "DELEGATION_DEPTH_EXCEEDED": "critical",
    "SESSION_EXPIRED": "low",
    "RATE_LIMIT_EXCEEDED": "medium",
    "BEHAVIORAL_DRIFT": "high",
}

ROLE_REQUEST: dict[str, Any] = json.loads(r"""
{
  "name": "invoice-processor",
  "description": "Processes invoices — read only",
  "allowed_tools": ["read_invoices", "send_email"],
  "default_ttl_seconds": 3600,
  "max_delegation_depth": 1,
  "rate_limit_per_minute": 30,
  "rate_limit_per_hour": 500,
  "parent_role_id": "base-agent",
  "parameter_constraints": {
    "send_email": [
      {"field": "to", "operator": "regex", "value": ".*@company\\.com$"}
    ],
    "read_invoices": [
      {"field": "amount", "operator": "lt", "value": 50000}
    ]
  },
  "allowed_hours_start": 8,
  "allowed_hours_end": 20,
  "allowed_days": [0, 1, 2, 3, 4],
  "data_scope": {
    "allowed_envs": ["staging", "production"],
    "max_rows": 1000
  },
  "webhook_url": "https://your-server.com/webhooks/scopebound",
  "webhook_secret": "your-hmac-secret"
}
""")

ROLE_RESPONSE: dict[str, Any] = json.loads(r"""
{
  "id": "3bcedc38-a87a-4c2a-bc50-7693cb90af2d",
  "name": "invoice-processor",
  "allowed_tools": ["read_invoices", "send_email"],
  "default_ttl": 3600,
  "rate_limit_per_minute": 30,
  "rate_limit_per_hour": 500,
  "parent_role_id": "base-agent-uuid",
  "parameter_constraints": {
    "send_email": [{"field": "to", "operator": "regex", "value": ".*@company\\.com$"}]
  },
  "allowed_hours_start": 8,
  "allowed_hours_end": 20,
  "allowed_days": [0, 1, 2, 3, 4],
  "webhook_url": "https://your-server.com/webhooks/scopebound",
  "webhook_secret_hint": "your-hma***",
  "created_at": "2026-04-29T12:00:00Z",
  "updated_at": "2026-04-29T12:00:00Z"
}
""")

# Operator -> the table's example.
CONSTRAINTS: dict[str, dict[str, Any]] = {
    row["operator"]: row
    for row in json.loads(r"""
[
  {"field": "status", "operator": "eq", "value": "pending"},
  {"field": "amount", "operator": "lt", "value": 50000},
  {"field": "priority", "operator": "gt", "value": 0},
  {"field": "note", "operator": "contains", "value": "approved"},
  {"field": "to", "operator": "regex", "value": ".*@company\\.com$"},
  {"field": "region", "operator": "in", "value": ["us-east", "us-west"]}
]
""")
}

# The tree of the inheritance section: role, parent, own tools, effective tools.
INHERITANCE: list[tuple[str, str | None, list[str], list[str]]] = [
    ("base-agent", None, ["read_invoices", "read_vendors"], ["read_invoices", "read_vendors"]),
    (
        "extended-agent",
        "base-agent",
        ["send_email"],
        ["read_invoices", "read_vendors", "send_email"],
    ),
    (
        "senior-agent",
        "extended-agent",
        ["approve_invoice"],
        ["read_invoices", "read_vendors", "send_email", "approve_invoice"],
    ),
]

OFFICE_HOURS: dict[str, Any] = json.loads(r"""
{
  "allowed_hours_start": 8,
  "allowed_hours_end": 20,
  "allowed_days": [0, 1, 2, 3, 4]
}
""")

BUNDLE_LIST: dict[str, Any] = json.loads(r"""
{
  "count": 2,
  "versions": [
    {
      "id": "feed6359-c16c-4d1c-910d-6440c8b95b60",
      "version": "1.0.0",
      "checksum": "e47bc950ffd3a8c362ded5e5f7b6d988706acd94991340b1f0c7da4c9bcddd55",
      "bundle_path": "rules/bundle-history/bundle-20260429-172000.tar.gz",
      "is_active": false,
      "uploaded_at": "2026-04-29T17:20:00Z",
      "activated_at": "2026-04-29T17:20:00Z",
      "description": "add rate limit rule"
    },
    {
      "id": "8ddcf3ca-1281-4668-9333-f067b989337f",
      "version": "1.0.0",
      "checksum": "a1b2c3d4...",
      "bundle_path": "rules/bundle-history/bundle-20260429-171340.tar.gz",
      "is_active": true,
      "uploaded_at": "2026-04-29T17:13:40Z",
      "activated_at": "2026-04-29T17:21:00Z",
      "description": "baseline v1"
    }
  ]
}
""")

UPLOAD_RESPONSE: dict[str, Any] = json.loads(r"""
{
  "id": "feed6359-c16c-4d1c-910d-6440c8b95b60",
  "version": "1.0.0",
  "checksum": "e47bc950...",
  "is_active": true,
  "uploaded_at": "2026-04-29T17:20:00Z",
  "description": "add new rule"
}
""")

ROLLBACK_RESPONSE: dict[str, Any] = json.loads(r"""
{
  "message": "rollback successful",
  "version_id": "8ddcf3ca-1281-4668-9333-f067b989337f",
  "version": "1.0.0",
  "checksum": "a1b2c3d4..."
}
""")

CREATE_THE_ROLE = r"""
curl -X POST https://your-partner.api.scopebound.ai/mgmt/v1/roles \
  -H "X-Scopebound-API-Key: sb-your-key" \
  -H "Content-Type: application/json" \
  -d '{"name": "invoice-processor", "allowed_tools": ["read_invoices"]}'
"""

LOOK_AT_THE_ROLE = r"""
curl https://your-partner.api.scopebound.ai/mgmt/v1/roles?name=invoice-processor \
  -H "X-Scopebound-API-Key: sb-your-key"
"""

LOOK_AT_THE_HEALTH = r"""
curl https://your-partner.api.scopebound.ai/healthz
"""
