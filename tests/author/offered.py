"""What is offered to turn a denial, done to a real service and its sessions."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from falcon.testing import Result

from scopebound_engine.author import folder, subject
from scopebound_engine.author.explaining.candidates.callers import Constraints
from scopebound_engine.author.explaining.candidates.change import Change
from scopebound_engine.author.explaining.counterfactual import (
    MOST_EVALUATIONS,
    Counterfactual,
    Found,
    Search,
)
from scopebound_engine.author.subject import Subject
from scopebound_engine.config import SHIPPED
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.rego.sandbox import stream_from_child
from scopebound_engine.rego.tracing.told import Told, decode
from tests.api.clocked import Agent, Service
from tests.recording import records_of

_TRACE = "scopebound_engine.rego.tracing.job:explain_all"
# A moment more than what is waited for.
_MARGIN = 0.1


@dataclass
class Denied:
    """A call that was denied, by whom, and what the policy saw; or a session that was refused.

    `known` are the role's constraints, where the search may have them.
    """

    role_id: str
    agent: Agent
    record: Mapping[str, Any]
    known: Constraints | None = None
    child: str = ""
    wishes: dict[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """The Rego input of the call."""
        return dict(self.record["input"])


def recorded(service: Service, decision_id: str) -> Mapping[str, Any]:
    """A record of the service's own journal."""
    found = records_of(service.services.config.data_dir)
    return next(record for record in reversed(found) if record["id"] == decision_id)


@contextmanager
def shipped() -> Iterator[tuple[Subject, EvaluatorPool]]:
    """The shipped policies, and an evaluator of theirs."""
    policies = subject.of_folder(folder.read(SHIPPED / "policies"))
    pool = policies.evaluators()
    yield policies, pool
    pool.close()


def traced(policies: Subject, documents: Sequence[Mapping[str, Any]]) -> list[Told]:
    """What the rules did for each of these facts, told by one child."""
    program = policies.program
    arguments = (dict(program.modules), dict(program.data), program.entrypoint, list(documents))
    return [decode(value) for value in stream_from_child(_TRACE, *arguments, seconds=600)]


def searched(
    policies: Subject, pool: EvaluatorPool, denied: Denied, told: Told | None = None
) -> Found:
    """What is offered; what the shipped rules are about needs not to be told."""
    search = Search(policies, pool, denied.known, deadline=time.monotonic() + 60)
    return search.find(denied.facts, told.fired if told else ())


def searched_facts(
    policies: Subject,
    pool: EvaluatorPool,
    document: Mapping[str, Any],
    told: Told,
    most: int = MOST_EVALUATIONS,
) -> Found:
    """The same of facts that nobody recorded."""
    search = Search(policies, pool, most=most, deadline=time.monotonic() + 60)
    return search.find(document, told.fired)


def sent(service: Service, denied: Denied, offered: Counterfactual) -> str:
    """The verdict on the call once all is done that is offered: `allow` or the deny code."""
    agent = denied.agent
    for change in offered.changes:
        if change.kind == "role":
            change_role(service, denied.role_id, change)
        if change.kind == "wait":
            _wait(service, denied, change)
    again = {"role", "provision"} & {change.kind for change in offered.changes}
    if again or any("session provisioned" in change.says for change in offered.changes):
        agent = service.session(denied.role_id)
    facts = offered.facts
    if denied.child:
        return delegated(service, agent, denied, facts["child"]["allowed_tools"])
    at = {} if facts["mcp_server"] is None else {"mcp_server": facts["mcp_server"]}
    if facts["action"] == "mcp_tool_call":
        at.setdefault("mcp_server", None)
    return agent.verdict(facts["tool_name"], facts["call_args"], **at)


def change_role(service: Service, role_id: str, change: Change) -> None:
    """Does to a role what is said of it."""
    path = f"/mgmt/v1/roles/{role_id}"
    role = service.http.simulate_get(path).json
    name, value = change.target.removeprefix("role."), change.after
    first, _, rest = name.partition(".")
    if name == "allowed_hours":
        body = {"allowed_hours_start": value[0], "allowed_hours_end": value[1]}
    elif first == "parameter_constraints":
        body = {first: {**role["parameter_constraints"], rest: value}}
    elif first == "data_scope":
        body = {first: {rest: value}}
    else:
        body = {name: value}
    answer = service.http.simulate_put(path, json=body)
    assert answer.status_code == 200, answer.text


def delegated(service: Service, agent: Agent, denied: Denied, tools: list[str]) -> str:
    """The verdict on a session that holds these tools, spawned by this one."""
    held = service.http.simulate_get(f"/mgmt/v1/roles/{denied.child}").json["allowed_tools"]
    role_id = denied.child if tools == held else service.role(*tools)
    answer = spawn(service, agent, role_id)
    return "allow" if answer.status_code == 200 else str(answer.json["deny_code"])


def spawn(service: Service, agent: Agent, role_id: str) -> Result:
    """Asks for a session below this one."""
    body = {"role_id": role_id, "parent_session_id": agent.session_id}
    return service.http.simulate_post("/v1/provision", json=body)


def _wait(service: Service, denied: Denied, change: Change) -> None:
    """Hours by the service's clock; seconds, which buckets count, really."""
    seconds = (change.after - change.before) / 1_000
    if seconds < 5:
        time.sleep(seconds + _MARGIN)
    else:
        service.clock.ahead += change.after / 1_000 - service.clock() + _MARGIN
