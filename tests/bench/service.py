"""A real server to be measured, everything switched on, and calls that it allows."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from scopebound_engine.bundle.format import archive
from scopebound_engine.database.engine import open_database
from scopebound_engine.log import replayable
from scopebound_engine.node import LOG_FOLDER
from scopebound_engine.session.drift.baselines import Baselines
from tests.bench.scenario import DURABLE, Scenario
from tests.ended import store_ended
from tests.postgres import PostgresServer
from tests.servers import PLAIN, RunningServer, serving

# Calls are of so many sessions in turn.
SESSIONS = 16
# Sessions whose habits the role's baseline is fitted to: each goes its own way.
_ENDED = 40
_CLERK_SECONDS = 30.0
_JSON = {"Content-Type": "application/json"}
_COUNTED = re.compile(
    r'^scopebound_decisions_total\{deny_code="\w*",event="tool_call\.(\w+)"\} (\S+)$'
    r'|^scopebound_decision_(seconds|stage_seconds)_sum(?:\{stage="(\w+)"\})? (\S+)$',
    re.MULTILINE,
)


@dataclass(frozen=True)
class Decided:
    """What a server has decided up to now, and the seconds that stages of all decisions took."""

    allowed: float = 0.0
    denied: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """A server, and its PostgreSQL unless it has the embedded SQLite."""

    server: RunningServer
    postgres: PostgresServer | None
    folder: Path

    def bodies(self, scenario: Scenario, sessions: int = SESSIONS) -> list[str]:
        """The bodies of one enforce call for each of so many new sessions.

        The role is made if need be, and has a baseline, so that drift is judged in each call.
        """
        with self.server.client() as http:
            self._make(http, scenario)
            tokens = [
                _said(http.post("/v1/provision", json={"role_id": scenario.role["name"]}))["jwt"]
                for _ in range(sessions)
            ]
        call = {"tool_name": scenario.tool, "call_args": scenario.arguments}
        return [json.dumps({"jwt": token, **call}) for token in tokens]

    def decided(self) -> Decided:
        """What it counts itself."""
        text = httpx.get(f"{self.server.url}/metrics", timeout=10, **PLAIN).text
        found, seconds = {"allow": 0.0, "deny": 0.0}, {}
        for verb, number, _, stage, spent in _COUNTED.findall(text):
            if verb:
                found[verb] = found.get(verb, 0.0) + float(number)
            else:
                seconds[stage or "all"] = float(spent)
        return Decided(found["allow"], found["deny"], seconds)

    def input(self, body: str) -> dict[str, Any]:
        """What the policy is given for this call, from the record of the decision."""
        with self.server.client() as http:
            answer = _said(http.post("/v1/enforce", content=body, headers=_JSON))
        assert answer["decision"] == "allow", answer
        wanted = answer["decision_id"].encode()
        for journal in sorted((self.server.data_dir / LOG_FOLDER).glob("journal-*"), reverse=True):
            for line in reversed(journal.read_bytes().splitlines()):
                if wanted in line:
                    found: dict[str, Any] = replayable.read(line)["input"]
                    return found
        raise AssertionError(f"no journal has a record of {answer}")

    def policy(self) -> dict[str, bytes]:
        """The files of the bundle in force."""
        with self.server.client() as http:
            versions = _said(http.get("/mgmt/v1/bundles"))["versions"]
            [active] = [each["id"] for each in versions if each["is_active"]]
            return archive.read(http.get(f"/mgmt/v1/bundles/{active}/download").content)

    def _make(self, http: httpx.Client, scenario: Scenario) -> None:
        made = http.post("/mgmt/v1/roles", json=scenario.role)
        if made.status_code == 409:
            return
        role_id, tools = _said(made)["id"], scenario.role["allowed_tools"]
        url = self.postgres.tcp_url() if self.postgres else None
        engine = open_database(url, self.server.data_dir)
        store_ended(engine, role_id, ({tools[-1 - each % 2]: 30} for each in range(_ENDED)))
        Baselines(engine, time.time).fit(role_id, tools)
        engine.dispose()


@contextmanager
def service(folder: Path, *, postgres: bool = False, **settings: Any) -> Iterator[Service]:
    """A service until the block ends; `settings` are those of the server."""
    with ExitStack() as stack:
        database = None
        if postgres:
            database = PostgresServer(*DURABLE)
            stack.callback(database.close)
            settings |= {"database_url": database.tcp_url()}
        server = stack.enter_context(serving(folder / "data", **settings))
        _wait_for_the_clerk(server)
        yield Service(server, database, folder)


def _wait_for_the_clerk(server: RunningServer) -> None:
    """Until it has started, which takes a good part of a second of a processor."""
    deadline = time.monotonic() + _CLERK_SECONDS
    while time.monotonic() < deadline:
        if "\nscopebound_clerk_up 1" in httpx.get(f"{server.url}/metrics", **PLAIN).text:
            return
        time.sleep(0.05)
    raise RuntimeError(f"the clerk did not start:\n{server.log.read_text()}")


def _said(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise RuntimeError(f"{answer.request.url} answers {answer.status_code}: {answer.text}")
    return answer.json()
