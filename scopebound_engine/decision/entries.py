"""A call as it enters its session: what it counts as, which limits bind it, what it repeats."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from scopebound_engine.decision.facts import Call, server_limit
from scopebound_engine.session.state.seam import Entry
from scopebound_engine.strict_json import dumps


def entry_of(call: Call, claims: Mapping[str, Any]) -> Entry:
    """The entry of a tool call into the session of these claims.

    It is counted under its tool, by the tool's place in `allowed_tools`, and all tools that are not
    allowed are one more place. Only a call id of the client can come again.
    """
    tools: Sequence[str] = claims["allowed_tools"]
    limit = server_limit(call, claims)
    return Entry(
        session_id=claims["jti"],
        role_id=claims["role_id"],
        per_minute=claims["rate_limit_per_minute"],
        per_hour=claims["rate_limit_per_hour"],
        server=call.mcp_server if limit else None,
        per_server=limit,
        slot=tools.index(call.tool_name) if call.tool_name in tools else len(tools),
        slots=len(tools) + 1,
        call_id=call.call_id if call.named else None,
        digest=_digest(call) if call.named else "",
    )


def _digest(call: Call) -> str:
    """What the decision depends on, besides the session; arguments in their canonical spelling."""
    same = [call.action, call.tool_name, call.call_args, call.mcp_server]
    return hashlib.sha256(dumps(same)).hexdigest()
