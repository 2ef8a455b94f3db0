"""Another tool, another MCP server, a smaller delegation: what the caller can ask for instead."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.author.explaining.candidates.change import Change, closest, shown
from scopebound_engine.author.explaining.world import REMOVED, Document, Edit, at

Constraints = Mapping[str, Sequence[Mapping[str, Any]]]

_MOST: Final = 5


def changes(document: Document, known: Constraints | None) -> Iterator[Change]:
    """`known` are the role's constraints by tool, where somebody has them."""
    tools, name = at(document, ("claims", "allowed_tools")), document["tool_name"]
    if isinstance(tools, list) and isinstance(name, str) and name not in tools:
        for rank, tool in enumerate(closest(tools, name)[:_MOST]):
            yield _tool(document, tool, known, rank)
    servers = at(document, ("claims", "bound", "allowed_mcp_servers"))
    if isinstance(servers, list) and document["action"] == "mcp_tool_call":
        actual = document["mcp_server"]
        others = [one for one in servers if one != actual]
        for rank, server in enumerate(closest(others, actual)[:_MOST]):
            yield _server(actual, server, rank)
    yield from _delegations(document, tools)


def _tool(document: Document, tool: str, known: Constraints | None, rank: int) -> Change:
    constraints = [] if known is None else [_unjudged(rule) for rule in known.get(tool, ())]
    assumes = (
        f"the arguments meet what the role demands of {tool}, which these facts do not hold"
        if known is None
        else ""
    )
    return Change(
        "tool",
        "tool_name",
        document["tool_name"],
        tool,
        f"call {shown(tool)}, which the role has",
        assumes=assumes,
        cost=1 + rank / 100,
        edits=(Edit(("tool_name",), tool), Edit(("constraints",), constraints)),
    )


def _unjudged(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A constraint of the role as an entry of the facts, which are made anew from it."""
    return {"required": False, **rule}


def _server(actual: str | None, server: str, rank: int) -> Change:
    return Change(
        "mcp_server",
        "mcp_server",
        actual,
        server,
        f"call the MCP server {shown(server)}, which the role has",
        adds=actual is None,
        cost=1 + rank / 100,
        # What its bucket holds is not known; the limit of the other one does not count.
        edits=(Edit(("mcp_server",), server), Edit(("session", "rate", "server"), REMOVED)),
    )


def _delegations(document: Document, held: Any) -> Iterator[Change]:
    asked = at(document, ("child", "allowed_tools"))
    if not isinstance(asked, list) or not isinstance(held, list):
        return
    excess = [tool for tool in asked if tool not in held]
    if excess:
        fitting = [tool for tool in asked if tool in held]
        yield Change(
            "delegation",
            "child.allowed_tools",
            asked,
            fitting,
            f"ask for a role without {shown(excess)}",
            edits=(Edit(("child", "allowed_tools"), fitting),),
        )
