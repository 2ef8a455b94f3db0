"""`demo`: an allow and every denial that a running server can be brought to, as a table."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click

from scopebound_engine.cli.remote import RemoteError, Server, find_server
from scopebound_engine.config import from_env

ROLE: Final = "demo-invoice-processor"
SHORTEST_TTL: Final = 60

_NOT_SHOWN: Final = (
    ("DELEGATION_DEPTH_EXCEEDED", "sub-agent sessions are not offered by this version"),
    ("DELEGATION_SCOPE_EXCEEDED", "sub-agent sessions are not offered by this version"),
    ("BEHAVIORAL_DRIFT", "there is no baseline in this version"),
    ("POLICY_ERROR", "only a fault of the engine itself makes one"),
)


@click.command()
@click.option("--no-wait", is_flag=True, help="Leave out SESSION_EXPIRED, which takes a minute.")
def demo(no_wait: bool) -> None:
    """Walk an allow and every denial a caller can bring about, against the running server.

    Makes roles named demo-… (again at each run). Finds the server at SCOPEBOUND_HOST and
    SCOPEBOUND_PORT, or SCOPEBOUND_BASE_URL, and the key in the data folder, or SCOPEBOUND_API_KEY.
    """
    server = find_server(from_env())
    short = _session(server, ROLE, _invoice_role())
    started = time.monotonic()
    click.echo(f"{'call':<44} {'decision':<8} {'code':<24} {'severity':<9} reason")
    for case in _cases(server):
        _print(case, _enforce(server, case))
    not_shown = dict(_NOT_SHOWN)
    if no_wait:
        not_shown["SESSION_EXPIRED"] = "takes a minute; leave out --no-wait to see it"
    else:
        _show_expiry(server, short, started)
    click.echo("\nNot shown:")
    for code, why in not_shown.items():
        click.echo(f"  {code}: {why}")


def _show_expiry(server: Server, token: str, started: float) -> None:
    left = max(0.0, SHORTEST_TTL + 1 - (time.monotonic() - started))
    click.echo(f"… waiting {left:.0f} s for a session to expire (--no-wait leaves this out)")
    time.sleep(left)
    expired = Case("read_invoices after the session's end", token, "read_invoices", {})
    _print(expired, _enforce(server, expired))


@dataclass(frozen=True, slots=True)
class Case:
    """One call, at the MCP endpoint if it names a server."""

    title: str
    token: str
    tool_name: str
    call_args: Any
    mcp_server: str | None = None


def _enforce(server: Server, case: Case) -> dict[str, Any]:
    """The decision on a case."""
    document = {"jwt": case.token, "tool_name": case.tool_name, "call_args": case.call_args}
    if case.mcp_server is None:
        return dict(server.done("POST", "/v1/enforce", document))
    document["mcp_server"] = case.mcp_server
    return dict(server.done("POST", "/v1/mcp/enforce", document))


def _session(server: Server, name: str, fields: dict[str, Any]) -> str:
    status, role = server.call("GET", f"/mgmt/v1/roles?name={name}")
    if status == 404:
        server.done("POST", "/mgmt/v1/roles", {"name": name, **fields})
    elif status == 200:
        server.done("PUT", f"/mgmt/v1/roles/{role['id']}", fields)
    else:
        raise RemoteError(f"the role {name} cannot be read: {role.get('detail', role)}")
    wish = {"role_id": name, "requested_ttl": SHORTEST_TTL}
    return str(server.done("POST", "/v1/provision", wish)["jwt"])


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


def _cases(server: Server) -> Iterator[Case]:
    tools = {"allowed_tools": ["read_invoices"]}
    role = _session(server, ROLE, _invoice_role())
    yield Case("read_invoices within the role", role, "read_invoices", {"env": "staging"})
    yield Case("a tool that was not granted", role, "delete_invoice", {})
    yield Case("mail to another domain", role, "send_email", {"to": "eve@evil.example"})
    yield Case("an environment not listed", role, "read_invoices", {"env": "sandbox"})
    yield Case("more rows than allowed", role, "read_invoices", {"limit": 5000})
    yield Case("a tool that needs approval", role, "pay_invoice", {})
    yesterday = (datetime.now(UTC).weekday() - 1) % 7
    closed = _session(server, "demo-other-days", tools | {"allowed_days": [yesterday]})
    yield Case("on a day not allowed", closed, "read_invoices", {})
    servers = _session(server, "demo-mcp", tools | {"allowed_mcp_servers": ["erp"]})
    yield Case("an MCP server not listed", servers, "read_invoices", {}, mcp_server="slack")
    limited = _session(server, "demo-limited", tools | {"rate_limit_per_minute": 1})
    yield Case("the first of one call a minute", limited, "read_invoices", {})
    yield Case("the second", limited, "read_invoices", {})
    yield Case("a forged token", role[:-8] + "AAAAAAAA", "read_invoices", {})
    yield Case("arguments that are not an object", role, "read_invoices", ["a", "list"])


def _print(case: Case, decision: dict[str, Any]) -> None:
    click.echo(
        f"{case.title:<44} {decision['decision']:<8} {decision.get('deny_code', ''):<24} "
        f"{decision.get('severity', ''):<9} {decision.get('reason', '')}"
    )
