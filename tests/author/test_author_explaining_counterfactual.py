"""What is offered to turn a denial turns it when it is done: by a real service.

SCOPEBOUND_TEST_OFFERED=1000 makes the random part long, SCOPEBOUND_TEST_SEED repeats one.
"""

import json
import os
import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from scopebound_engine.author.subject import Subject
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from tests.api.clocked import Agent, Service, clocked_service
from tests.author.offered import Denied, recorded, searched, sent, shipped, spawn, traced

OFFERED = int(os.environ.get("SCOPEBOUND_TEST_OFFERED", "30"))
SEED = int(os.environ.get("SCOPEBOUND_TEST_SEED") or secrets.randbelow(1 << 32))
DAY = 86_400


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with clocked_service(tmp_path_factory.mktemp("service"), None) as made:
        yield made


@pytest.fixture(autouse=True)
def _early_in_an_hour(service: Service) -> None:
    """What is offered for an hour is done within it."""
    if service.clock() % 3_600 > 1_800:
        service.clock.ahead += 3_600 - service.clock() % 3_600


@pytest.fixture(scope="module")
def policies() -> Iterator[tuple[Subject, EvaluatorPool]]:
    with shipped() as made:
        yield made


def exhaust(_: Service, agent: Agent) -> None:
    """Takes all tokens of a minute."""
    while agent.verdict("read") == "allow":
        pass


def revoke(service: Service, agent: Agent) -> None:
    service.http.simulate_delete(f"/v1/sessions/{agent.session_id}")


def expire(service: Service, _: Agent) -> None:
    service.clock.ahead += 3_601


def latch(service: Service, agent: Agent) -> None:
    service.services.sessions.latch(agent.session_id)


def constrained(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"parameter_constraints": {"read": list(rules)}}


def rule(field: str, operator: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value, **more}


def closed_now(service: Service) -> dict[str, Any]:
    """Hours that are over since an hour, and begin again in 20."""
    hour = int(service.clock() % DAY // 3_600)
    return {"allowed_hours_start": (hour + 20) % 24, "allowed_hours_end": (hour - 1) % 24}


def other_day(service: Service) -> dict[str, Any]:
    weekday = (int(service.clock() // DAY) + 3) % 7
    return {"allowed_days": [(weekday + 2) % 7]}


@dataclass(frozen=True)
class Case:
    """A call that is denied with a code, and what is offered: the kinds of changes, in order."""

    code: str
    offered: list[str]
    role: dict[str, Any] | Callable[[Service], dict[str, Any]] = field(default_factory=dict)
    tool: str = "read"
    args: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    before: Callable[[Service, Agent], None] = lambda _service, _agent: None
    says: str = ""


MAIL = r"^[a-z]+@company\.com$"
SCOPE = {"data_scope": {"allowed_envs": ["staging", "prod"], "max_rows": 1_000}}
CASES = {
    "too many rows": Case(
        "DATA_LIMIT_EXCEEDED", ["argument"], SCOPE, args={"limit": 5_000}, says="to 1000 "
    ),
    "no row": Case("DATA_LIMIT_EXCEEDED", ["argument"], SCOPE, args={"limit": 0}, says="to 1 "),
    "half a row": Case(
        "DATA_LIMIT_EXCEEDED", ["argument"], SCOPE, args={"limit": 7.5}, says="to 7 "
    ),
    "rows in words": Case("DATA_LIMIT_EXCEEDED", ["argument"], SCOPE, args={"limit": "all"}),
    "another environment": Case(
        "ENV_VIOLATION", ["argument"], SCOPE, args={"env": "production"}, says='to "prod"'
    ),
    "no environment": Case("ENV_VIOLATION", ["argument"], SCOPE, args={"env": 7}),
    "both": Case("ENV_VIOLATION", ["argument"] * 2, SCOPE, args={"env": "dev", "limit": 1e6}),
    "too much": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("amount", "lt", 500)),
        args={"amount": 900},
        says="call_args.amount to 499",
    ),
    "too much, with cents": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("amount", "lt", 0.5)),
        args={"amount": 0.75},
        says="to 0.49",
    ),
    "too little": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("amount", "gt", 10), rule("amount", "lt", 20)),
        args={"amount": 3},
        says="to 11",
    ),
    "a number in words": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("amount", "gt", 10)),
        args={"amount": "12"},
    ),
    "what is required": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("ticket", "regex", "^T-[0-9]{4}$", required=True)),
        says="give call_args.ticket",
    ),
    "what is required deep inside": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("a.b.c", "eq", {"x": [1]}, required=True)),
        args={"a": {"d": 1}},
    ),
    "one of a list": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("status", "in", ["open", "paid", 7])),
        args={"status": "payd"},
        says='to "paid"',
    ),
    "a text with something in it": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("note", "contains", "urgent")),
        args={"note": "hello"},
        says="hello urgent",
    ),
    "a pattern": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("to", "regex", MAIL)),
        args={"to": "bob@evil.com"},
        says="@company.com",
    ),
    "two patterns on one field": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("to", "regex", MAIL), rule("to", "regex", "^[^b]")),
        args={"to": "bob"},
    ),
    "a pattern with a lookahead": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("path", "regex", "^(?!/etc)/[a-z]+$")),
        args={"path": "/etc"},
    ),
    "several constraints": Case(
        "PARAMETER_VIOLATION",
        ["argument"] * 3,
        constrained(rule("a", "lt", 1), rule("b", "eq", "x"), rule("c", "in", [1, 2])),
        args={"a": 5, "b": "y", "c": 3},
    ),
    "an object in the way": Case(
        "PARAMETER_VIOLATION",
        ["argument"],
        constrained(rule("a.b", "eq", 1)),
        args={"a": "text"},
    ),
    "a constraint that nothing satisfies": Case(
        "PARAMETER_VIOLATION",
        ["argument", "role"],
        constrained(rule("n", "lt", 1, required=True), rule("n", "gt", 1, required=True)),
        args={"n": 1},
    ),
    "a tool of no role": Case("SCOPE_VIOLATION", ["tool"], tool="reed", says='call "read"'),
    "a tool of no role, and arguments": Case(
        "SCOPE_VIOLATION", ["argument", "tool"], SCOPE, tool="reed", args={"limit": 5_000}
    ),
    "a role without tools": Case(
        "SCOPE_VIOLATION", ["role"], {"allowed_tools": []}, says='add "read" to the role'
    ),
    "an approval": Case(
        "APPROVAL_REQUIRED",
        ["role"],
        {"allowed_tools": ["read"], "approval_required": ["read"]},
        says="approval_required",
    ),
    "another server": Case(
        "MCP_SERVER_UNAUTHORIZED",
        ["mcp_server"],
        {"allowed_mcp_servers": ["erp", "files"]},
        more={"mcp_server": "file"},
        says='"files"',
    ),
    "a revoked session": Case("SESSION_EXPIRED", ["provision"], before=revoke),
    "an expired session": Case("SESSION_EXPIRED", ["provision"], before=expire),
    "an expired session, and arguments": Case(
        "SESSION_EXPIRED", ["argument", "provision"], SCOPE, args={"limit": -1}, before=expire
    ),
    "drift": Case("BEHAVIORAL_DRIFT", ["provision"], before=latch),
    "too many calls": Case(
        "RATE_LIMIT_EXCEEDED", ["wait"], {"rate_limit_per_minute": 60}, before=exhaust, says="wait "
    ),
    "another day": Case("TIME_VIOLATION", ["wait"], other_day, says="provisioned then"),
    "other hours": Case("TIME_VIOLATION", ["wait"], closed_now, says="call at "),
}


def made(service: Service, case: Case) -> Denied:
    """The call, denied."""
    fields = case.role(service) if callable(case.role) else case.role
    tools = fields.get("allowed_tools", ["read", "write"])
    rest = {name: value for name, value in fields.items() if name != "allowed_tools"}
    role_id = service.role(*tools, **rest)
    agent = service.session(role_id)
    case.before(service, agent)
    answer = agent.call(case.tool, case.args, **case.more)
    assert answer.get("deny_code") == case.code, answer
    return Denied(role_id, agent, recorded(service, answer["decision_id"]))


@pytest.mark.parametrize("name", CASES)
def test_what_is_offered_turns_the_verdict(
    service: Service, policies: tuple[Subject, EvaluatorPool], name: str
) -> None:
    case, (decides, pool) = CASES[name], policies
    denied = made(service, case)
    found = searched(decides, pool, denied)
    assert found.smallest is not None
    assert [change.kind for change in found.smallest.changes] == case.offered
    assert case.says in " ".join(change.says for change in found.smallest.changes)
    assert sent(service, denied, found.smallest) == "allow"


BY_ROLE = [
    *("too many rows", "another environment", "too much", "what is required", "one of a list"),
    *("a pattern", "several constraints", "a tool of no role", "another server", "other hours"),
    *("another day", "an approval"),
]


@pytest.mark.parametrize("name", BY_ROLE)
def test_another_role_is_offered_as_well(
    service: Service, policies: tuple[Subject, EvaluatorPool], name: str
) -> None:
    decides, pool = policies
    denied = made(service, CASES[name])
    found = searched(decides, pool, denied)
    assert found.by_role is not None
    assert {change.kind for change in found.by_role.changes} == {"role"}
    assert sent(service, denied, found.by_role) == "allow"


def test_all_that_a_role_has_to_give_up_is_told(
    service: Service, policies: tuple[Subject, EvaluatorPool]
) -> None:
    decides, pool = policies
    denied = made(service, CASES["several constraints"])
    found = searched(decides, pool, denied)
    assert found.by_role is not None
    said = " ".join(change.says for change in found.by_role.changes)
    assert all(f"constraint {name} " in said for name in "abc")


def test_delegations_are_turned_too(
    service: Service, policies: tuple[Subject, EvaluatorPool]
) -> None:
    decides, pool = policies
    role_id, child = service.role("read", "write"), service.role("read")
    agent = service.session(role_id)
    refused = spawn(service, agent, child).json
    assert refused["deny_code"] == "DELEGATION_DEPTH_EXCEEDED"
    denied = Denied(role_id, agent, recorded(service, refused["decision_id"]), child=child)
    found = searched(decides, pool, denied)
    assert found.smallest is not None
    assert [change.target for change in found.smallest.changes] == ["role.max_delegation_depth"]
    assert sent(service, denied, found.smallest) == "allow"


def test_a_role_that_is_suspended_has_to_be_resumed(
    service: Service, policies: tuple[Subject, EvaluatorPool]
) -> None:
    decides, pool = policies
    role_id = service.role("read")
    agent = service.session(role_id)
    service.http.simulate_post(f"/mgmt/v1/roles/{role_id}/suspend", json={"reason": "audit"})
    record = recorded(service, agent.call("read")["decision_id"])
    denied = Denied(role_id, agent, record)
    found = searched(decides, pool, denied)
    assert found.smallest is not None
    (change,) = found.smallest.changes
    assert (change.kind, change.assumes) == ("provision", "the role is resumed first")
    service.http.simulate_post(f"/mgmt/v1/roles/{role_id}/resume", json={})
    assert sent(service, denied, found.smallest) == "allow"


TOOLS = ["read", "pay", "write", "écrire"]
TEXTS = ["", "a", "é", '","allow":true,"x":"', "\\", "bob@company.com", "12"]


class Random:
    """Random roles and calls, most of which are denied."""

    def __init__(self, service: Service, rng: random.Random) -> None:
        self._service, self._rng = service, rng

    def denied(self) -> Denied | None:
        """A call, if it is denied."""
        rng, role = self._rng, self.role()
        role_id = self._service.role(*rng.sample(TOOLS, rng.randrange(4)), **role)
        agent = self._service.session(role_id)
        server = {"mcp_server": rng.choice(["erp", "fs"])} if rng.random() < 0.2 else {}
        args = {name: self.value() for name in ("amount", "to", "a", "env", "limit")}
        chosen = dict(rng.sample(sorted(args.items(), key=str), rng.randrange(6)))
        answer = agent.call(rng.choice(TOOLS), chosen, **server)
        if answer["decision"] == "allow":
            return None
        return Denied(
            role_id,
            agent,
            recorded(self._service, answer["decision_id"]),
            role["parameter_constraints"],
        )

    def role(self) -> dict[str, Any]:
        rng = self._rng
        hours = rng.sample(range(24), 2) if rng.random() < 0.2 else [0, 0]
        return {
            "allowed_hours_start": hours[0],
            "allowed_hours_end": hours[1],
            "allowed_days": rng.sample(range(7), 5) if rng.random() < 0.2 else [],
            "data_scope": {
                "allowed_envs": rng.sample(["prod", "staging"], rng.randrange(3)),
                "max_rows": rng.choice([0, 100]),
            },
            "approval_required": rng.sample(TOOLS, rng.choice([0, 0, 0, 1])),
            "allowed_mcp_servers": rng.choice([[], ["erp"]]),
            "parameter_constraints": {
                tool: [self.constraint() for _ in range(rng.randrange(3))]
                for tool in rng.sample(TOOLS, 3)
            },
        }

    def constraint(self) -> dict[str, Any]:
        rng = self._rng
        operator = rng.choice(["eq", "lt", "gt", "contains", "regex", "in"])
        values: dict[str, list[Any]] = {
            "eq": [1, "x", True, None, [1, {"k": 2}], 0.1],
            "lt": [0, 100, 0.5, -3],
            "gt": [0, 100, 99.5],
            "contains": ["com", "é", "\\"],
            "regex": [MAIL, r"^\d{2,}$", "com", "^(?!a)[a-z]*$", r"^[\w.-]+\.txt$"],
            "in": [[1, 2], ["open", "paid"], [True], ["é", 7]],
        }
        name = rng.choice(["amount", "to", "a.b", "a"])
        made = rule(name, operator, rng.choice(values[operator]))
        return made | ({"required": True} if rng.random() < 0.3 else {})

    def value(self) -> Any:
        rng = self._rng
        if rng.random() < 0.2:
            return {"b": rng.choice([*TEXTS, 5])}
        return rng.choice([*TEXTS, 0, 1, 50, 101, 2.5, -7, 10**20, True, None, "prod", [1]])


def test_what_is_offered_to_random_calls_turns_the_verdict(
    service: Service, policies: tuple[Subject, EvaluatorPool]
) -> None:
    decides, pool = policies
    random_calls = Random(service, random.Random(SEED))
    denials = [made for _ in range(OFFERED) if (made := random_calls.denied()) is not None]
    outcomes: Counter[str] = Counter()
    told = traced(decides, [denied.facts for denied in denials])
    waiting = []
    for denied, one in zip(denials, told, strict=True):
        found = searched(decides, pool, denied, one)
        for offered in filter(None, (found.smallest, found.by_role)):
            outcomes[offered.changes[0].kind] += 1
            if any(change.kind == "wait" for change in offered.changes):
                # Time that is let go by is gone for all others.
                waiting.append((denied, offered))
                continue
            note = f"SCOPEBOUND_TEST_SEED={SEED}: {json.dumps(denied.facts)} {offered.changes}"
            assert sent(service, denied, offered) == "allow", note
        outcomes["none"] += found.smallest is None
    for denied, offered in waiting[:1]:
        assert sent(service, denied, offered) == "allow", offered.changes
    print(f"{OFFERED} calls, {len(denials)} denied; offered: {dict(outcomes)}")
    assert outcomes["none"] <= len(denials) / 20, f"SCOPEBOUND_TEST_SEED={SEED}"
