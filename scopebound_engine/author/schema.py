"""`policy schema`: what rules see of a call, as a JSON Schema and as an example."""

from importlib import resources
from typing import Any, Final

from scopebound_engine.bundle.gate.calls import DELEGATION, MCP_CALL, changed, constraint, found

_WINDOW: Final = {"limit": 60, "granted": True, "remaining": 59, "retry_after_seconds": 0}
# What only some calls have, so that every name of the schema stands in one document.
_ALL: Final = {
    "/call_args": {"amount": 25_000, "env": "staging"},
    "/claims/parent_session_id": "5b0a4a2f-6c33-4a8e-8f0b-7d4b9c2e1c57",
    "/claims/bound/approval_required": ["delete_invoice"],
    "/claims/bound/allowed_mcp_servers": ["ledger"],
    "/claims/bound/mcp_server_rate_limits": {"ledger": 60},
    "/constraints": [constraint("lt", 50_000) | found(25_000, matched=True)],
    "/matches": {"amount_known": "yes"},
    "/session/rate/server": _WINDOW,
    "/child": DELEGATION["child"],
}


def text() -> str:
    """The JSON Schema of the facts, as it is published."""
    file = resources.files("scopebound_engine.rego").joinpath("input.schema.json")
    return file.read_text("utf-8")


def example() -> dict[str, Any]:
    """Facts in which every field of the schema occurs. No call has all of them."""
    return changed(MCP_CALL, _ALL)
