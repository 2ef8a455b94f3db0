"""Delegations judged by the shipped bundle, and what a bundle is told of one."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from importlib import resources
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from sqlalchemy import Engine

from scopebound_engine.bundle.matchers import EMPTY
from scopebound_engine.decision.active import ActiveBundle, BundleRef, Loaded
from scopebound_engine.decision.delegation import Child, Delegations
from scopebound_engine.decision.pdp import Decision, Judge
from scopebound_engine.errors import EvaluationError, EvaluatorsClosedError
from scopebound_engine.role.inheritance import effective
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.claims import claims_of
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.state.seam import Entry, SessionState
from scopebound_engine.session.store import SessionRecord
from scopebound_engine.times import moment
from scopebound_engine.verdict import ALLOW, Verdict, Violation
from tests.bundles import bundle_files, packed
from tests.decision.small_bundles import KEY, verified
from tests.ended import store_ended
from tests.provisioning import NoBundle
from tests.roles import store_role
from tests.sessions import store_session

PARENT_ID = "47bb16ec-e06a-4090-9a4a-e0873e680545"
CHILD = Child("helper", ("read", "send"), 600)
CONFIG = "scopebound/config/data.json"


def loaded(active: ActiveBundle, files: dict[str, bytes]) -> Loaded:
    bundle = verified(packed(KEY, files))
    active.prepare(bundle)
    active.promote(BundleRef("b", "1.0.0", bundle.checksum, 1))
    assert active.current is not None
    return active.current


def attenuating() -> dict[str, bytes]:
    """The shipped files, with `delegation.attenuate` on."""
    files = bundle_files("1.0.0", denies=False)
    data = json.loads(files[CONFIG])
    data["delegation"]["attenuate"] = True
    return files | {CONFIG: json.dumps(data).encode()}


@pytest.fixture(scope="module")
def shipped() -> Iterator[Loaded]:
    active = ActiveBundle(evaluators=1, evaluation_seconds=0.5)
    yield loaded(active, bundle_files("1.0.0", denies=False))
    active.close()


@pytest.fixture(scope="module")
def strict() -> Iterator[Loaded]:
    active = ActiveBundle(evaluators=1, evaluation_seconds=0.5)
    yield loaded(active, attenuating())
    active.close()


class Shelf:
    """Hands out bundles in order, the last one for ever, and notes what was asked for."""

    def __init__(self, *bundles: Any) -> None:
        self.bundles, self.asked = list(bundles), list[int]()

    def at_least(self, generation: int, deadline: float) -> Any:
        self.asked.append(generation)
        return self.bundles.pop(0) if len(self.bundles) > 1 else self.bundles[0]


class Notebook:
    """A bundle that allows everything and keeps what it was told."""

    ref, matchers = BundleRef("b", "1.0.0", "c", 1), EMPTY

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.pool = SimpleNamespace(evaluate=self._evaluate)

    def _evaluate(self, document: dict[str, Any], deadline: float) -> Verdict:
        self.told = document
        return ALLOW


@pytest.fixture
def role(database: Engine) -> Role:
    return store_role(
        database,
        allowed_tools=["read"],
        max_delegation_depth=2,
        rate_limit_per_minute=30,
        rate_limit_per_hour=500,
        mcp_server_rate_limits={"erp": 60},
        parameter_constraints={"read": [{"field": "a", "operator": "lt", "value": 1}]},
    )


@pytest.fixture
def parent(database: Engine, role: Role, state: SessionState) -> SessionRecord:
    """A live session of the role, stored and opened, with an hour to live."""
    claims = claims_of(effective([role]), PARENT_ID, int(time.time()), 3600)
    claims = {"iss": "i", "aud": "a"} | claims
    state.open(PARENT_ID, 30, 500, claims["exp"])
    return store_session(database, PARENT_ID, claims=claims, expires_at=moment(claims["exp"]))


Decide = Callable[..., Decision]


@pytest.fixture
def decide(database: Engine, state: SessionState) -> Decide:
    roles, baselines = RoleStore(database, time.time), Baselines(database, time.time)

    def ask(
        bundles: Any, parent: SessionRecord | None, child: Child = CHILD, *, later: float = 0.0
    ) -> Decision:
        shelf = bundles if hasattr(bundles, "at_least") else Shelf(bundles)
        judge = Judge(shelf, baselines, lambda: time.time() + later)
        delegations = Delegations(roles, state, lambda: 1, judge)
        return delegations.decide(parent, child, "call-1", time.monotonic() + 5)

    return ask


def with_depth(parent: SessionRecord, depth: int) -> SessionRecord:
    return replace(parent, claims={**parent.claims, "delegation_depth_remaining": depth})


def primary(decision: Decision) -> Violation:
    assert not decision.verdict.allow
    return decision.verdict.violations[0]


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_a_session_with_depth_left_may_spawn_another(
    decide: Decide, shipped: Loaded, parent: SessionRecord, depth: int
) -> None:
    decision = decide(shipped, with_depth(parent, depth))
    assert decision.verdict == ALLOW
    assert decision.bundle == shipped.ref


@pytest.mark.parametrize("depth", [0, -1])
def test_one_without_may_not(
    decide: Decide, shipped: Loaded, parent: SessionRecord, depth: int
) -> None:
    denial = primary(decide(shipped, with_depth(parent, depth)))
    assert (denial.code, denial.severity) == ("DELEGATION_DEPTH_EXCEEDED", "critical")


def test_an_unknown_one_may_not_either(decide: Decide, shipped: Loaded) -> None:
    denial = primary(decide(shipped, None))
    assert (denial.code, denial.retry_guidance) == ("SESSION_EXPIRED", "none")
    assert "not known here" in denial.reason


def test_an_expired_one_may_not_from_the_very_moment(
    decide: Decide, shipped: Loaded, parent: SessionRecord
) -> None:
    left = parent.claims["exp"] - time.time()
    assert decide(shipped, parent, later=left - 5).verdict.allow
    denial = primary(decide(shipped, parent, later=left))
    assert (denial.code, denial.retry_guidance) == ("SESSION_EXPIRED", "reprovision")


@pytest.mark.parametrize(("reason", "told"), [("stop it", "stop it"), (None, "session revoked")])
def test_a_revoked_one_may_not_and_is_told_why(
    decide: Decide, shipped: Loaded, parent: SessionRecord, reason: str | None, told: str
) -> None:
    revoked = replace(
        parent, revoked_at=parent.created_at + timedelta(seconds=1), revoked_reason=reason
    )
    denial = primary(decide(shipped, revoked))
    assert (denial.code, denial.retry_guidance) == ("SESSION_EXPIRED", "none")
    assert told in denial.reason


def test_one_whose_role_was_suspended_may_not_until_it_is_resumed(
    decide: Decide, shipped: Loaded, parent: SessionRecord, database: Engine
) -> None:
    roles = RoleStore(database, time.time)
    roles.suspend(parent.role_id, "key leaked")
    denial = primary(decide(shipped, parent))
    assert (denial.code, denial.retry_guidance) == ("SESSION_EXPIRED", "none")
    assert "role suspended: key leaked" in denial.reason
    roles.resume(parent.role_id)
    assert decide(shipped, parent).verdict.allow


def test_one_whose_role_was_deleted_may_not(
    decide: Decide, shipped: Loaded, parent: SessionRecord, database: Engine
) -> None:
    RoleStore(database, time.time).delete(parent.role_id)
    assert "role deleted" in primary(decide(shipped, parent)).reason


def test_tools_beyond_the_parents_are_denied_where_the_bundle_attenuates(
    decide: Decide, shipped: Loaded, strict: Loaded, parent: SessionRecord
) -> None:
    assert decide(shipped, parent, CHILD).verdict.allow
    denial = primary(decide(strict, parent, CHILD))
    assert (denial.code, denial.severity) == ("DELEGATION_SCOPE_EXCEEDED", "critical")
    assert '"send"' in denial.reason
    for tools in (("read",), ()):
        assert decide(strict, parent, replace(CHILD, allowed_tools=tools)).verdict.allow


def test_a_bundle_is_told_of_the_parent_and_the_child_in_the_published_shape(
    decide: Decide, parent: SessionRecord
) -> None:
    notebook = Notebook()
    assert decide(notebook, parent).verdict.allow
    told = notebook.told
    asked = {"action": "delegate", "tool_name": None, "call_args": {}, "mcp_server": None}
    assert {name: told[name] for name in asked} == asked
    assert told["call_id"] == "call-1"
    assert told["child"] == {
        "role": "helper",
        "allowed_tools": ["read", "send"],
        "ttl_seconds": 600,
    }
    kept = parent.claims.keys() - {"parameter_constraints"}
    assert told["claims"].keys() == kept
    assert told["constraints"] == []
    assert not told["session"]["revoked"]
    schema = resources.files("scopebound_engine") / "rego/input.schema.json"
    jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(told)


def test_a_bundle_is_told_as_much_of_a_parent_that_is_not_known(decide: Decide) -> None:
    notebook = Notebook()
    decide(notebook, None)
    assert notebook.told["claims"] == {}
    assert notebook.told["session"]["revoked"] is True
    assert notebook.told["child"]["role"] == "helper"


def test_nothing_is_taken_from_the_parent_but_its_limits_are_told(
    decide: Decide, parent: SessionRecord, state: SessionState
) -> None:
    notebook, call = Notebook(), Entry(parent.id, parent.role_id, 30, 500, slots=2)
    state.enter(call)
    for _ in range(3):
        decide(notebook, parent)
    rate = notebook.told["session"]["rate"]
    assert (rate["minute"]["remaining"], rate["hour"]["remaining"]) == (29, 499)
    found = state.enter(call)
    assert (found.minute.remaining, found.hour.remaining) == (28, 498)
    assert found.counts == (1, 0)


def test_how_far_the_parent_drifted_is_told_of_the_calls_that_it_made(
    decide: Decide, parent: SessionRecord, state: SessionState, database: Engine
) -> None:
    store_ended(database, parent.role_id, [{"read": 9, "list": 1}] * 25)
    fitted = Baselines(database, time.time).fit(parent.role_id, ("read", "list"))
    assert fitted is not None
    for _ in range(4):
        state.enter(Entry(parent.id, parent.role_id, 30, 500, slots=2))
    notebook = Notebook()
    decide(notebook, replace(parent, latched_at=parent.created_at, baseline_id=fitted.id))
    expected = {"ready": True, "latched": True, "calls": 4, "baseline_sessions": 25}
    assert expected.items() <= notebook.told["session"]["drift"].items()
    assert notebook.told["session"]["drift"]["log_evidence"] < 0


def test_the_generation_in_force_is_asked_and_once_more_where_it_was_let_go_of(
    decide: Decide, shipped: Loaded, parent: SessionRecord
) -> None:
    def closed(document: dict[str, Any], deadline: float) -> Verdict:
        raise EvaluatorsClosedError("let go of")

    former = SimpleNamespace(ref=shipped.ref, matchers=EMPTY, pool=SimpleNamespace(evaluate=closed))
    shelf = Shelf(former, shipped)
    assert decide(shelf, parent).verdict.allow
    assert shelf.asked == [1, 1]
    with pytest.raises(EvaluatorsClosedError):
        decide(Shelf(former, former, shipped), parent)


def test_without_a_bundle_there_is_no_decision(decide: Decide, parent: SessionRecord) -> None:
    with pytest.raises(EvaluationError, match="no policy bundle"):
        decide(NoBundle(), parent)
