"""One service whose clock a test sets, and which it can look into."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falcon.testing import Result, TestClient

from scopebound_engine.api.app import create_app
from scopebound_engine.config import Config
from scopebound_engine.preparation import prepare
from scopebound_engine.wiring import Services, build_services
from tests.bundles import quick_policies
from tests.clocks import Ahead
from tests.servers import API_KEY

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Service:
    """A service, its clock, and what a client and an operator ask of it."""

    services: Services
    clock: Ahead
    http: TestClient

    def role(self, *tools: str, **fields: Any) -> str:
        """The id of a new role."""
        body = {"name": f"role-{next(_NUMBERS)}", "allowed_tools": list(tools), **fields}
        answer = self.http.simulate_post("/mgmt/v1/roles", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def session(self, role_id: str) -> "Agent":
        """Who calls tools in a new session of the role."""
        answer = self.http.simulate_post("/v1/provision", json={"role_id": role_id})
        assert answer.status_code == 200, answer.text
        return Agent(self, answer.json["session_id"], answer.json["jwt"])


@dataclass(frozen=True)
class Agent:
    """A session, and the calls that it makes."""

    service: Service
    session_id: str
    jwt: str

    def answer(self, tool: str, call_args: Mapping[str, Any] | None = None, **more: Any) -> Result:
        """The answer to a call, which is a decision; at the MCP endpoint if it names a server."""
        path = "/v1/mcp/enforce" if "mcp_server" in more else "/v1/enforce"
        body = {"jwt": self.jwt, "tool_name": tool, "call_args": dict(call_args or {}), **more}
        answer = self.service.http.simulate_post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer

    def call(self, tool: str, *args: Any, **more: Any) -> dict[str, Any]:
        """The decision on a call."""
        return dict(self.answer(tool, *args, **more).json)

    def verdict(self, tool: str, *args: Any, **more: Any) -> str:
        """`allow` or the deny code."""
        decision = self.call(tool, *args, **more)
        return str(decision.get("deny_code", decision["decision"]))

    def look(self) -> dict[str, Any]:
        """The session as an operator sees it."""
        answer = self.service.http.simulate_get(f"/v1/sessions/{self.session_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json)


@contextmanager
def clocked_service(folder: Path, database_url: str | None) -> Iterator[Service]:
    """A service of its own data folder, until the block ends."""
    settings: dict[str, Any] = {
        "data_dir": folder / "data",
        "bootstrap_api_key": API_KEY,
        "policies": quick_policies(folder),
        "evaluators": 1,
        # Tests share a machine; what they ask here is not how fast it is.
        "evaluation_deadline_ms": 1_000,
        "total_deadline_ms": 1_900,
    }
    if database_url is not None:
        settings["database_url"] = database_url
    config = Config.model_validate(settings)
    prepare(config)
    clock = Ahead()
    services = build_services(config, clock)
    http = TestClient(create_app(services), headers={"X-Scopebound-API-Key": API_KEY})
    yield Service(services, clock, http)
    services.close()
