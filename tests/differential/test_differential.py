"""Three judges, one answer: the whole service path, a second Rego engine, and plain Python."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import falcon.testing
import pytest
import regorus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from scopebound_engine import strict_json
from scopebound_engine.api.app import create_app
from scopebound_engine.config import SHIPPED, Config
from scopebound_engine.database.engine import open_database, transaction
from scopebound_engine.database.schema import baselines
from scopebound_engine.decision.active import Loaded
from scopebound_engine.decision.follower import Follower
from scopebound_engine.decision.pdp import DecisionPoint
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.session.drift.evidence import Baseline
from scopebound_engine.times import moment
from scopebound_engine.verdict import Verdict
from scopebound_engine.wiring import Services, build_services
from tests.clocks import Clock
from tests.differential.oracle import PRECEDENCE, Habit, Situation, codes
from tests.servers import API_KEY, make_prepared

EXAMPLES = int(os.environ.get("SCOPEBOUND_TEST_EXAMPLES", "1000"))
SESSION_START = 1_800_000_000

words = st.sampled_from(["read", "send", "a.b", "Read", 'x","allow":true,"z":"y', "é", "写"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        [
            0,
            1,
            2,
            999,
            1000,
            1001,
            -1,
            1.5,
            2**63,
            2**64 + 5,
            49999.99999999,
            1e300,
            1.0000000000000002,
        ]
    ),
    st.sampled_from(["", "1", "prod", "staging", "bob@company.com", "a\nb@company.com", '"', "\\"]),
    words,
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["b", "c", "a.b", "k"]), inner, max_size=3)
    ),
    max_leaves=5,
)
fields = st.sampled_from(["amount", "to", "a", "a.b", "a.b.c", "status"])
numbers = st.sampled_from([0, 1, 2, 1000, 1.5, 49999.99999999, 2**64 + 5, -1])
patterns = st.sampled_from([r"^[a-z]+@company\.com$", "company", "^(a|b)$", r"\d", "^$"])


@st.composite
def constraints(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(st.sampled_from(["eq", "lt", "gt", "contains", "regex", "in"]))
    value = {
        "eq": values,
        "lt": numbers,
        "gt": numbers,
        "contains": st.sampled_from(["a", "company", '"', "\\"]),
        "regex": patterns,
        "in": st.lists(values, min_size=1, max_size=3),
    }[operator]
    found = {"field": draw(fields), "operator": operator, "value": draw(value)}
    return found | ({"required": True} if draw(st.booleans()) else {})


@st.composite
def roles(draw: st.DrawFn) -> dict[str, Any]:
    start, end = draw(st.integers(0, 23)), draw(st.integers(0, 23))
    if start == end or draw(st.booleans()):
        start = end = 0
    return {
        "allowed_tools": draw(st.lists(words, max_size=4, unique=True)),
        "parameter_constraints": draw(
            st.dictionaries(words, st.lists(constraints(), max_size=3), max_size=2)
        ),
        "allowed_hours_start": start,
        "allowed_hours_end": end,
        "allowed_days": draw(st.lists(st.integers(0, 6), max_size=4, unique=True)),
        "data_scope": {
            "allowed_envs": draw(st.lists(st.sampled_from(["prod", "staging"]), unique=True)),
            "max_rows": draw(st.sampled_from([0, 0, 1, 1000])),
        },
        "approval_required": draw(st.lists(words, max_size=1)),
        "allowed_mcp_servers": draw(st.lists(st.sampled_from(["erp", "fs"]), unique=True)),
        "mcp_server_rate_limits": draw(
            st.dictionaries(st.sampled_from(["erp", "other"]), st.sampled_from([1, 2]), max_size=2)
        ),
        "rate_limit_per_minute": draw(st.sampled_from([0, 0, 1, 2])),
        "rate_limit_per_hour": draw(st.sampled_from([0, 0, 1])),
        "default_ttl_seconds": draw(st.sampled_from([60, 3600])),
    }


@st.composite
def habits(draw: st.DrawFn, allowed: list[str]) -> Habit:
    tools = draw(st.lists(words | st.sampled_from(allowed or ["read"]), unique=True))
    weights = [draw(st.sampled_from([1, 9, 100])) for _ in (*tools, "all others")]
    return Habit(
        tools=tuple(tools),
        shares=tuple(weight / sum(weights) for weight in weights),
        concentration=draw(st.sampled_from([1e5, 30.0, 0.5])),
        sessions=draw(st.sampled_from([50, 20, 19])),
    )


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    role = draw(roles())
    names = words
    if role["allowed_tools"]:
        names = st.sampled_from(role["allowed_tools"]) | words
    arguments = draw(
        st.dictionaries(
            st.sampled_from(["amount", "to", "a", "a.b", "a.b.c", "status", "env", "limit"]),
            values,
            max_size=4,
        )
    )
    if arguments.get("limit") == 1.0000000000000002:
        del arguments["limit"]  # refused before the policy is asked
    ttl = role["default_ttl_seconds"]
    age = draw(st.sampled_from([0, 0, 0, 1, ttl - 1, ttl, ttl + 1, ttl + 10**6]))
    start = SESSION_START + draw(st.integers(0, 7 * 24)) * 3600
    start += draw(st.sampled_from([0, 1, 3599]))
    return Situation(
        role=role,
        tool_name=draw(names),
        call_args=arguments,
        mcp=draw(st.booleans()),
        mcp_server=draw(st.sampled_from([None, "erp", "fs", "other"])),
        now=start + age,
        age=age,
        ttl=ttl,
        calls_before=draw(st.sampled_from([0, 0, 1, 2])),
        habit=draw(st.none() | habits(role["allowed_tools"])),
    )


@st.composite
def long_sessions(draw: st.DrawFn) -> Situation:
    """Drift is denied from the tenth call on, and where much is forbidden none gets there."""
    tools = draw(st.lists(words, min_size=1, max_size=4, unique=True))
    return Situation(
        role={"allowed_tools": tools, "mcp_server_rate_limits": {"erp": 11}},
        tool_name=draw(st.sampled_from(tools)),
        call_args={},
        mcp=draw(st.booleans()),
        mcp_server="erp",
        now=SESSION_START,
        age=0,
        ttl=3600,
        calls_before=draw(st.sampled_from([12, 10, 9, 8])),
        habit=draw(habits(tools)),
    )


class Recording(EvaluatorPool):
    """The real thing, which also remembers the facts it was asked about."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.facts: Mapping[str, Any] = {}

    def at_least(self, generation: int, deadline: float) -> Loaded:
        self._loaded = self._follower.at_least(generation, deadline)
        return replace(self._loaded, pool=self)

    def evaluate(self, facts: Mapping[str, Any], deadline: float) -> Verdict:
        self.facts = facts
        return self._loaded.pool.evaluate(facts, deadline)


class Judges:
    """The service and the second engine."""

    def __init__(self, services: Services, clock: Clock) -> None:
        self.clock, self.recording = clock, Recording(services.follower)
        decisions = DecisionPoint(
            services.tokens,
            services.state,
            self.recording,
            services.baselines,
            services.sessions,
            clock=clock,
        )
        self.http = falcon.testing.TestClient(
            create_app(replace(services, decisions=decisions)),
            headers={"X-Scopebound-API-Key": API_KEY},
        )
        self.second = regorus.Engine()
        policies = SHIPPED / "policies"
        for file in policies.rglob("*.rego"):
            if not file.name.endswith("_test.rego"):
                self.second.add_policy(str(file), file.read_text())
        config = json.loads((policies / "scopebound/config/data.json").read_text())
        self.second.add_data_json(json.dumps({"scopebound": {"config": config}}))
        self._names = iter(range(10**9))
        self._engine = open_database(None, services.config.data_dir)

    def service(self, case: Situation) -> list[str]:
        """The codes that the service answers."""
        self.clock.now = case.now - case.age
        name = f"role-{next(self._names)}"
        created = self.http.simulate_post("/mgmt/v1/roles", json={"name": name, **case.role})
        assert created.status_code == 201, created.text
        if case.habit is not None:
            self._learn(created.json["id"], case.habit)
        session = self.http.simulate_post("/v1/provision", json={"role_id": name}).json
        body = {"jwt": session["jwt"], "tool_name": case.tool_name, "call_args": case.call_args}
        if case.mcp_server is not None:
            body["mcp_server"] = case.mcp_server
        path = "/v1/mcp/enforce" if case.mcp else "/v1/enforce"
        self.clock.now = float(case.now)
        for _ in range(case.calls_before + 1):
            answer = self.http.simulate_post(path, body=strict_json.dumps(body))
            assert answer.status_code == 200, answer.text
        decision = answer.json
        fired = [violation["code"] for violation in decision.get("violations", [])]
        assert (decision["decision"] == "allow") is (not fired)
        assert decision.get("deny_code") == (fired[0] if fired else None)
        return fired

    def _learn(self, role_id: str, habit: Habit) -> None:
        """Let new sessions of the role be held to a habit."""
        baseline = Baseline(habit.tools, habit.shares, habit.concentration, habit.sessions, 9_999)
        row = {"role_id": role_id, "fitted_at": moment(0), "document": asdict(baseline)}
        with transaction(self._engine) as connection:
            connection.execute(insert(baselines).values(row))

    def second_engine(self) -> list[str]:
        """The codes that the second engine finds in the facts of the last call."""
        self.second.set_input_json(strict_json.dumps(self.recording.facts).decode())
        decision = json.loads(self.second.eval_rule_as_json("data.scopebound.decision"))
        assert decision["allow"] is (not decision["violations"])
        return [violation["code"] for violation in decision["violations"]]


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judges]:
    data_dir: Path = tmp_path_factory.mktemp("differential")
    # What a busy machine takes for it is not what is compared.
    patient = {"evaluation_deadline_ms": 1_000, "total_deadline_ms": 1_900}
    config = Config.model_validate({"data_dir": data_dir / "data", **patient})
    make_prepared(config.data_dir)
    clock = Clock(float(SESSION_START))
    services = build_services(config, clock)
    yield Judges(services, clock)
    services.close()


SLOW = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


@settings(max_examples=EXAMPLES, **SLOW)
@given(case=situations())
def test_service_second_engine_and_plain_python_agree(judges: Judges, case: Situation) -> None:
    agree_on(judges, case)


@settings(max_examples=EXAMPLES // 20, **SLOW)
@given(case=long_sessions())
def test_they_agree_on_long_sessions(judges: Judges, case: Situation) -> None:
    agree_on(judges, case)


def agree_on(judges: Judges, case: Situation) -> None:
    expected = codes(case)
    answered = judges.service(case)
    # One code may fire for several constraints; the judges agree on which codes and in what order.
    assert list(dict.fromkeys(answered)) == expected
    assert list(dict.fromkeys(judges.second_engine())) == expected


def test_the_oracle_knows_every_code_that_a_tool_call_can_reach() -> None:
    declared = json.loads((SHIPPED / "manifest.json").read_text())["deny_codes"]
    assert {code["code"] for code in declared} == set(PRECEDENCE)
