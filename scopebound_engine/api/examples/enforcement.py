"""Examples of sessions, calls and decisions."""

from typing import Final

_TOKEN: Final = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9..."  # noqa: S105 - the reference's stump of one
_RECORD: Final = {"decision_id": "019dd765-6a3c-7f3e-8d5e-0c8f4ce5a1d7"}
_BUNDLE: Final = {
    "bundle_id": "feed6359-c16c-4d1c-910d-6440c8b95b60",
    "bundle_version": "1.0.0",
    "bundle_checksum": "e47bc950ffd3a8c362ded5e5f7b6d988706acd94991340b1f0c7da4c9bcddd55",
    "bundle_generation": 1,
}
_RATE_LIMIT: Final = {
    "severity": "medium",
    "reason": "the limit of 30 calls per minute is used up; wait 2 s",
    "retry_guidance": "wait",
    "retry_after_seconds": 2,
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
_DEPTH_EXCEEDED: Final = {
    "severity": "critical",
    "reason": "delegation_depth_remaining is 0; spawning a session needs 1",
    "retry_guidance": "none",
}
_REQUEST_ID: Final = "0b9f1f6c-54a8-4f3e-8d5e-0c8f4ce5a1d7"
REFUSED_DELEGATION: Final = {
    "type": "urn:scopebound:problem:delegation-refused",
    "title": "The policy refuses the delegation",
    "status": 403,
    "detail": _DEPTH_EXCEEDED["reason"],
    "instance": _REQUEST_ID,
    "decision": "deny",
    **_RECORD,
    "call_id": _REQUEST_ID,
    "latency_ms": 2.3,
    "deny_code": "DELEGATION_DEPTH_EXCEEDED",
    **_DEPTH_EXCEEDED,
    "violations": [{"code": "DELEGATION_DEPTH_EXCEEDED", **_DEPTH_EXCEEDED}],
    **_BUNDLE,
}
FORBIDDEN: Final = {
    "type": "urn:scopebound:problem:forbidden",
    "title": "The API key may not do this",
    "status": 403,
    "detail": "this API key lacks the scope enforce; it has audit",
    "instance": _REQUEST_ID,
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
ALLOW: Final = {
    "decision": "allow",
    **_RECORD,
    "call_id": "abc123",
    "latency_ms": 1.2,
    **_BUNDLE,
}
REPEATED: Final = {**ALLOW, "replayed": True}
DENIAL: Final = {
    "decision": "deny",
    **_RECORD,
    "call_id": "abc123",
    "deny_code": "SCOPE_VIOLATION",
    **_SCOPE_VIOLATION,
    "latency_ms": 1.1,
    "violations": [{"code": "SCOPE_VIOLATION", **_SCOPE_VIOLATION}],
    **_BUNDLE,
}
RATE_LIMITED: Final = {
    "decision": "deny",
    **_RECORD,
    "call_id": "abc124",
    "deny_code": "RATE_LIMIT_EXCEEDED",
    **_RATE_LIMIT,
    "latency_ms": 1.1,
    "violations": [{"code": "RATE_LIMIT_EXCEEDED", **_RATE_LIMIT}],
    **_BUNDLE,
}
