"""`demo`: an allow and every denial that a running server can be brought to, as a table."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click

from scopebound_engine.config import Config, from_env
from scopebound_engine.errors import ScopeboundError

ROLE: Final = "demo-invoice-processor"
SHORTEST_TTL: Final = 60

_NOT_SHOWN: Final = (
    ("DELEGATION_DEPTH_EXCEEDED", "sub-agent sessions are not offered by this version"),
    ("DELEGATION_SCOPE_EXCEEDED", "sub-agent sessions are not offered by this version"),
    ("BEHAVIORAL_DRIFT", "there is no baseline in this version"),
    ("POLICY_ERROR", "only a fault of the engine itself makes one"),
)


class DemoError(ScopeboundError):
    """The server cannot be used for the demonstration."""


@click.command()
@click.option("--no-wait", is_flag=True, help="Leave out SESSION_EXPIRED, which takes a minute.")
def demo(no_wait: bool) -> None:
    """Walk an allow and every denial against the running server.

    Makes roles named demo-… (again at each run). Finds the server at SCOPEBOUND_HOST and
    SCOPEBOUND_PORT, or SCOPEBOUND_BASE_URL, and the key in the data folder, or SCOPEBOUND_API_KEY.
    """
    server = _server(from_env())
    short = _session(server, ROLE, _invoice_role())
    started = time.monotonic()
    click.echo(f"{'call':<44} {'decision':<8} {'code':<24} {'severity':<9} reason")
    for case in _cases(server):
        _print(case, server.enforce(case))
    if no_wait:
        return
    left = max(0.0, SHORTEST_TTL + 1 - (time.monotonic() - started))
    click.echo(f"… waiting {left:.0f} s for a session to expire (--no-wait leaves this out)")
    time.sleep(left)
    expired = Case("read_invoices after the session's end", short, "read_invoices", {})
    _print(expired, server.enforce(expired))
    click.echo("\nNot shown:")
    for code, why in _NOT_SHOWN:
        click.echo(f"  {code}: {why}")


@dataclass(frozen=True, slots=True)
class Case:
    """One call, at the MCP endpoint if it names a server."""

    title: str
    token: str
    tool_name: str
    call_args: Any
    mcp_server: str | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and a key for it."""

    url: str
    api_key: str

    def call(self, method: str, path: str, document: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer. Raises DemoError when there is none."""
        request = urllib.request.Request(  # noqa: S310  # the address is the operator's own
            self.url + path,
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "X-Scopebound-API-Key": self.api_key,
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError as error:
            raise DemoError(
                f"no server answers at {self.url} ({error}); start one with `make run`"
            ) from error

    def done(self, method: str, path: str, document: Any = None) -> Any:
        """The JSON of a 2xx answer. Raises DemoError with the problem's detail otherwise."""
        status, answer = self.call(method, path, document)
        if status >= 300:
            raise DemoError(f"{method} {path} answered {status}: {answer.get('detail', answer)}")
        return answer

    def enforce(self, case: Case) -> dict[str, Any]:
        """The decision on a case."""
        document = {"jwt": case.token, "tool_name": case.tool_name, "call_args": case.call_args}
        if case.mcp_server is None:
            return dict(self.done("POST", "/v1/enforce", document))
        document["mcp_server"] = case.mcp_server
        return dict(self.done("POST", "/v1/mcp/enforce", document))


def _server(config: Config) -> Server:
    url = os.environ.get("SCOPEBOUND_BASE_URL") or f"http://{config.host}:{config.port}"
    key = os.environ.get("SCOPEBOUND_API_KEY")
    file = config.data_dir / "api-key"
    if not key and config.bootstrap_api_key is not None:
        key = config.bootstrap_api_key.get_secret_value()
    if not key and file.exists():
        key = file.read_text().strip()
    if not key:
        raise DemoError(f"no API key: {file} is not there; set SCOPEBOUND_API_KEY")
    return Server(url.rstrip("/"), key)


def _session(server: Server, name: str, fields: dict[str, Any]) -> str:
    status, role = server.call("GET", f"/mgmt/v1/roles?name={name}")
    if status == 404:
        server.done("POST", "/mgmt/v1/roles", {"name": name, **fields})
    elif status == 200:
        server.done("PUT", f"/mgmt/v1/roles/{role['id']}", fields)
    else:
        raise DemoError(f"the role {name} cannot be read: {role.get('detail', role)}")
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
