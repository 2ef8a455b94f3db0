"""`demo`: an allow and every denial that a running server can be brought to, as a table."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import click

from scopebound_engine.cli.remote import RefusedError, Server, find_server
from scopebound_engine.config import from_env

ROLE: Final = "demo-invoice-processor"
SPAWNING: Final = "demo-spawning"
SHORTEST_TTL: Final = 60

_NOT_SHOWN: Final = (
    ("DELEGATION_SCOPE_EXCEEDED", "delegation.attenuate is off in the shipped bundle's data"),
    ("BEHAVIORAL_DRIFT", "needs a baseline, which is fitted to 20 sessions that have ended"),
    ("POLICY_ERROR", "only a fault of the engine itself makes one"),
)


@click.command()
@click.option("--no-wait", is_flag=True, help="Leave out a session's end by time: a minute.")
def demo(no_wait: bool) -> None:
    """Walk an allow and every denial a caller can bring about, against the running server.

    Makes roles named demo-… (again at each run). Finds the server at SCOPEBOUND_HOST and
    SCOPEBOUND_PORT, or SCOPEBOUND_BASE_URL, and the key in the data folder, or SCOPEBOUND_API_KEY.
    """
    server = find_server(from_env())
    short = _agent(server, ROLE, _invoice_role())
    started = time.monotonic()
    click.echo(f"{'call':<44} {'decision':<8} {'code':<25} {'severity':<9} reason")
    for row in _rows(server):
        _print(row)
    if not no_wait:
        _wait_for_end(started)
        _print(short.call("read_invoices after the session's end", "read_invoices", {}))
    click.echo("\nNot shown:")
    for code, why in _NOT_SHOWN:
        click.echo(f"  {code}: {why}")


def _wait_for_end(started: float) -> None:
    left = max(0.0, SHORTEST_TTL + 1 - (time.monotonic() - started))
    click.echo(f"… waiting {left:.0f} s for a session to expire (--no-wait leaves this out)")
    time.sleep(left)


@dataclass(frozen=True, slots=True)
class Row:
    """What was tried, and the decision on it."""

    title: str
    decision: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Agent:
    """A session, and what it tries."""

    server: Server
    session_id: str
    token: str

    def call(self, title: str, tool_name: str, call_args: Any, **more: str) -> Row:
        """A tool call, at the MCP endpoint if it names a server."""
        path = "/v1/mcp/enforce" if "mcp_server" in more else "/v1/enforce"
        body = {"jwt": self.token, "tool_name": tool_name, "call_args": call_args, **more}
        return Row(title, self.server.done("POST", path, body))

    def spawn(self, title: str, role: str) -> Row:
        """A session of its own that it asks for."""
        wish = {"role_id": role, "parent_session_id": self.session_id}
        status, answer = self.server.call("POST", "/v1/provision", wish)
        if status == 200:
            return Row(title, {"decision": "allow"})
        if "deny_code" not in answer:
            raise RefusedError("POST", "/v1/provision", status, answer)
        return Row(title, answer)


def _agent(server: Server, name: str, fields: dict[str, Any], parent: str = "") -> Agent:
    """An agent in a new session of the role, which is made or brought to these fields."""
    status, role = server.call("GET", f"/mgmt/v1/roles?name={name}")
    if status == 404:
        server.done("POST", "/mgmt/v1/roles", {"name": name, **fields})
    elif status == 200:
        server.done("PUT", f"/mgmt/v1/roles/{role['id']}", fields)
    else:
        raise RefusedError("GET", "/mgmt/v1/roles", status, role)
    wish = {"role_id": name, "requested_ttl": SHORTEST_TTL, "parent_session_id": parent}
    session = server.done("POST", "/v1/provision", wish)
    return Agent(server, session["session_id"], session["jwt"])


def _invoice_role() -> dict[str, Any]:
    return {
        "allowed_tools": ["read_invoices", "send_email", "pay_invoice"],
        "default_ttl_seconds": 3600,
        "parameter_constraints": {
            "send_email": [{"field": "to", "operator": "regex", "value": r"^[^@\s]+@company\.com$"}]
        },
        "data_scope": {"allowed_envs": ["staging", "production"], "max_rows": 1000},
        "approval_required": ["pay_invoice"],
    }


def _rows(server: Server) -> Iterator[Row]:
    agent = _agent(server, ROLE, _invoice_role())
    yield agent.call("read_invoices within the role", "read_invoices", {"env": "staging"})
    yield agent.call("a tool that was not granted", "delete_invoice", {})
    yield agent.call("mail to another domain", "send_email", {"to": "eve@evil.example"})
    yield agent.call("an environment not listed", "read_invoices", {"env": "sandbox"})
    yield agent.call("more rows than allowed", "read_invoices", {"limit": 5000})
    yield agent.call("a tool that needs approval", "pay_invoice", {})
    yield agent.call("arguments that are not an object", "read_invoices", ["a", "list"])
    forger = replace(agent, token=agent.token[:-8] + "AAAAAAAA")
    yield forger.call("a forged token", "read_invoices", {})
    yield agent.call("a call with an id", "read_invoices", {}, call_id="demo")
    yield agent.call("the same call again under it", "read_invoices", {}, call_id="demo")
    yield agent.call("another call under it", "send_email", {}, call_id="demo")
    yield from _limits(server)
    yield from _sessions(server)


def _limits(server: Server) -> Iterator[Row]:
    tools = {"allowed_tools": ["read_invoices"]}
    yesterday = (datetime.now(UTC).weekday() - 1) % 7
    closed = _agent(server, "demo-other-days", tools | {"allowed_days": [yesterday]})
    yield closed.call("on a day not allowed", "read_invoices", {})
    limited = _agent(server, "demo-limited", tools | {"rate_limit_per_minute": 1})
    yield limited.call("the first of one call a minute", "read_invoices", {})
    yield limited.call("the second", "read_invoices", {})
    servers = {"allowed_mcp_servers": ["erp"], "mcp_server_rate_limits": {"erp": 1}}
    caller = _agent(server, "demo-mcp", tools | servers)
    yield caller.call("an MCP server not listed", "read_invoices", {}, mcp_server="slack")
    yield caller.call("the first of one call to it a minute", "read_invoices", {}, mcp_server="erp")
    yield caller.call("the second", "read_invoices", {}, mcp_server="erp")


def _sessions(server: Server) -> Iterator[Row]:
    fields = {"allowed_tools": ["read_invoices"], "max_delegation_depth": 1}
    parent = _agent(server, SPAWNING, fields)
    yield parent.spawn("a session that spawns another", SPAWNING)
    child = _agent(server, SPAWNING, fields, parent.session_id)
    yield child.spawn("that one spawning a third", SPAWNING)
    yield child.call("the second session calls a tool", "read_invoices", {})
    server.done("DELETE", f"/v1/sessions/{parent.session_id}?reason=demo")
    yield child.call("after the first was revoked", "read_invoices", {})


def _print(row: Row) -> None:
    decision = row.decision
    why = decision.get("reason", "the same decision: replayed" if "replayed" in decision else "")
    click.echo(
        f"{row.title:<44} {decision['decision']:<8} {decision.get('deny_code', ''):<25} "
        f"{decision.get('severity', ''):<9} {why}".rstrip()
    )
