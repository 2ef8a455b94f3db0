"""Sessions that others spawn: what their tokens say, and who makes none whatever a bundle says."""

import itertools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import Engine

from scopebound_engine.access.api_keys import ApiKey, ApiKeyStore
from scopebound_engine.decision.delegation import Child
from scopebound_engine.decision.pdp import Decision
from scopebound_engine.decision.provision import Delegation, Provisioner, Session
from scopebound_engine.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TooOftenError,
)
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.state.seam import Entry, SessionState
from scopebound_engine.session.store import SessionRecord, Sessions
from scopebound_engine.verdict import ALLOW, Verdict, Violation
from tests.ended import store_ended
from tests.provisioning import make_provisioner
from tests.signing import tokens

NOW = 1_777_464_000
NOWHERE = "00000000-0000-4000-8000-000000000000"
DENIED = Decision(Verdict(False, (Violation("SESSION_EXPIRED", "low", "over", "none"),)))


@dataclass
class Judge:
    """Lets every parent that is known and not revoked spawn, after a test's own meddling."""

    permissive: bool = False
    meddle: Callable[[], object] = lambda: None
    asked: list[tuple[SessionRecord | None, Child, str]] = field(default_factory=list)

    def decide(
        self, parent: SessionRecord | None, child: Child, call_id: str, deadline: float
    ) -> Decision:
        self.asked.append((parent, child, call_id))
        known = parent is not None and parent.revoked_at is None
        self.meddle()
        return Decision(ALLOW) if known or self.permissive else DENIED


class Desk:
    """A provisioner with what it stands on, at `now`."""

    def __init__(self, database: Engine, state: SessionState) -> None:
        self.now = float(NOW)
        self.judge, self.engine, self.state = Judge(), database, state
        self.roles, self.sessions = RoleStore(database, self.clock), Sessions(database, self.clock)
        self.keys = ApiKeyStore(database, self.clock)
        self.tokens = tokens(self.clock)
        self.provisioner = self.with_limit(1_000_000)
        self.key = self.new_key("enforce")

    def clock(self) -> float:
        return self.now

    def with_limit(self, per_minute: int) -> Provisioner:
        return make_provisioner(
            self.engine, self.state, self.clock, delegations=self.judge, per_minute=per_minute
        )

    def new_key(self, *scopes: str) -> ApiKey:
        key, _ = self.keys.create(str(uuid.uuid4()), frozenset(scopes))
        return key

    def role(self, name: str = "agent", **fields: Any) -> Role:
        return self.roles.create(parse(RoleFields, {"name": name, **fields}))

    def root(self, role: str = "agent", requested_ttl: int = 0) -> Session:
        return self.provisioner.provision(role, requested_ttl, self.key)

    def spawn(
        self,
        parent: Session | str,
        role: str = "agent",
        requested_ttl: int = 0,
        key: ApiKey | None = None,
    ) -> Session | Decision:
        parent_id = parent if isinstance(parent, str) else parent.session_id
        wish = Delegation(parent_id, "call-1", time.monotonic() + 5)
        return self.provisioner.delegate(wish, role, requested_ttl, key or self.key)

    def child(self, *args: Any, **more: Any) -> Session:
        session = self.spawn(*args, **more)
        assert isinstance(session, Session)
        return session

    def claims(self, session: Session) -> dict[str, Any]:
        return dict(self.tokens.verify(session.token))


@pytest.fixture
def desk(database: Engine, state: SessionState) -> Desk:
    return Desk(database, state)


def test_a_child_has_its_own_roles_claims_and_its_place_in_the_tree(desk: Desk) -> None:
    desk.role(max_delegation_depth=3, allowed_tools=["read"])
    desk.role("helper", allowed_tools=["send"], rate_limit_per_minute=7)
    root = desk.root()
    child = desk.child(root, "helper")
    claims, alone = desk.claims(child), desk.claims(desk.root("helper"))
    assert claims["parent_session_id"] == claims["root_session_id"] == root.session_id
    assert claims["jti"] == child.session_id != root.session_id
    own = {"jti", "parent_session_id", "root_session_id"}
    assert {name: claims[name] for name in claims.keys() - own} == {
        name: alone[name] for name in alone.keys() - own
    }


def test_a_chain_keeps_its_root_and_names_each_parent(desk: Desk) -> None:
    desk.role(max_delegation_depth=5)
    chain = [desk.root()]
    for _ in range(3):
        chain.append(desk.child(chain[-1]))
    for above, below in itertools.pairwise(chain):
        claims = desk.claims(below)
        assert claims["parent_session_id"] == above.session_id
        assert claims["root_session_id"] == chain[0].session_id
        assert [child.id for child in desk.sessions.children(above.session_id)] == [
            below.session_id
        ]


@pytest.mark.parametrize(
    ("parents", "own", "left"), [(3, 9, 2), (3, 2, 2), (3, 1, 1), (3, 0, 0), (1, 9, 0)]
)
def test_the_depth_left_is_one_less_than_the_parents_and_no_more_than_the_roles(
    desk: Desk, parents: int, own: int, left: int
) -> None:
    desk.role(max_delegation_depth=parents)
    desk.role("helper", max_delegation_depth=own)
    assert desk.claims(desk.child(desk.root(), "helper"))["delegation_depth_remaining"] == left


@pytest.mark.parametrize(
    ("later", "requested", "life"),
    [
        (0, 0, 600),  # the parent's whole life, of the role's hour
        (0, 900, 600),
        (0, 601, 600),
        (0, 300, 300),
        (0, 1, 60),
        (500, 0, 100),
        (500, 60, 60),
        (570, 60, 30),  # the parent's end counts more than the least that is given
        (599, 0, 1),
    ],
)
def test_a_child_lives_no_longer_than_its_parent(
    desk: Desk, later: int, requested: int, life: int
) -> None:
    desk.role(max_delegation_depth=1, default_ttl_seconds=3600)
    root = desk.root(requested_ttl=600)
    desk.now += later
    child = desk.child(root, requested_ttl=requested)
    claims = desk.claims(child)
    assert child.expires_at == claims["exp"] == NOW + later + life <= root.expires_at


def test_the_judge_is_told_what_is_asked_for(desk: Desk) -> None:
    desk.role(max_delegation_depth=1)
    desk.role("parent", allowed_tools=["read"])
    desk.role("helper", parent_role_id="parent", allowed_tools=["send"], default_ttl_seconds=900)
    root = desk.root(requested_ttl=60)
    desk.child(root.session_id.upper(), "helper", 700)
    [(parent, child, call_id)] = desk.judge.asked
    assert parent is not None
    assert parent.id == root.session_id
    assert dict(parent.claims) == desk.claims(root)
    assert child == Child("helper", ("read", "send"), 700)
    assert call_id == "call-1"


def test_a_denial_is_answered_and_nothing_is_made(desk: Desk) -> None:
    desk.role()
    root = desk.root()
    desk.sessions.revoke(root.session_id, "stop")
    assert desk.spawn(root) is DENIED
    assert desk.sessions.children(root.session_id) == ()


@pytest.mark.parametrize("parent_id", [NOWHERE, "no uuid", "x" * 10_000, "' OR 1=1"])
def test_an_unknown_parent_is_the_judges_to_deny(desk: Desk, parent_id: str) -> None:
    desk.role()
    assert desk.spawn(parent_id) is DENIED
    assert desk.judge.asked[0][0] is None


def test_a_session_of_another_key_is_as_unknown_as_none(desk: Desk) -> None:
    desk.role(max_delegation_depth=1)
    root = desk.root()
    assert desk.spawn(root, key=desk.new_key("enforce", "audit")) is DENIED
    assert desk.judge.asked[-1][0] is None
    for scopes in (("enforce", "roles"), ("admin",)):
        key = desk.new_key(*scopes)
        child = desk.child(root, key=key)
        made = desk.sessions.get(child.session_id)
        assert (made.parent_id, made.api_key_id) == (root.session_id, key.id)


@pytest.mark.parametrize("permissive", [False, True])
def test_a_parent_that_ends_while_the_bundle_is_asked_spawns_nothing(
    desk: Desk, permissive: bool
) -> None:
    desk.role(max_delegation_depth=1)
    root = desk.root()
    desk.judge.permissive = permissive
    desk.judge.meddle = lambda: desk.sessions.revoke(root.session_id, "stop")
    if permissive:
        with pytest.raises(ConflictError, match="has ended"):
            desk.spawn(root)
    else:
        assert desk.spawn(root) is DENIED
    told = [parent and parent.revoked_reason for parent, _, _ in desk.judge.asked]
    assert told == [None, "stop"]
    assert desk.sessions.children(root.session_id) == ()


@pytest.mark.parametrize("parent_id", [NOWHERE, "no uuid"])
def test_not_even_a_bundle_that_allows_everything_makes_up_a_parent(
    desk: Desk, parent_id: str
) -> None:
    desk.role()
    desk.judge.permissive = True
    with pytest.raises(ConflictError, match="not known"):
        desk.spawn(parent_id)


def test_not_even_such_a_bundle_revives_an_expired_one(desk: Desk) -> None:
    desk.role(max_delegation_depth=1)
    root = desk.root()
    desk.now = root.expires_at
    desk.judge.permissive = True
    with pytest.raises(ConflictError, match="has ended"):
        desk.spawn(root)


def test_what_stops_a_session_stops_a_child_too(desk: Desk) -> None:
    desk.role(max_delegation_depth=1)
    helper = desk.role("helper")
    root = desk.root()
    with pytest.raises(NotFoundError):
        desk.spawn(root, "nobody")
    with pytest.raises(ForbiddenError):
        desk.spawn(root, "helper", key=replace(desk.key, roles=("agent",)))
    desk.roles.suspend(helper.id, "")
    with pytest.raises(ConflictError, match="suspended"):
        desk.spawn(root, "helper")
    assert desk.judge.asked == []


def test_a_role_that_is_suspended_while_the_bundle_is_asked_is_told(desk: Desk) -> None:
    desk.role(max_delegation_depth=1)
    helper = desk.role("helper")
    desk.judge.meddle = lambda: desk.roles.suspend(helper.id, "key leaked")
    with pytest.raises(ConflictError, match="suspended"):
        desk.spawn(desk.root(), "helper")


def test_a_revoked_key_makes_neither_root_nor_child(desk: Desk) -> None:
    desk.role(max_delegation_depth=1)
    root = desk.root()
    desk.new_key("admin")
    desk.keys.revoke(desk.key.id)
    with pytest.raises(AuthenticationError):
        desk.root()
    with pytest.raises(ConflictError, match="was revoked"):
        desk.spawn(root)


def test_a_child_begins_with_full_buckets_of_its_own(desk: Desk) -> None:
    role = desk.role(max_delegation_depth=1, rate_limit_per_minute=2)
    root = desk.root()
    call = Entry(root.session_id, role.id, 2, 0)
    desk.state.enter(call)
    child = desk.child(root)
    found = desk.state.enter(replace(call, session_id=child.session_id))
    assert (found.minute.remaining, found.revoked_reason) == (1, None)
    assert desk.state.enter(call).minute.remaining == 0


def test_a_key_has_so_many_sessions_of_a_role_a_minute_children_too(desk: Desk) -> None:
    desk.role(max_delegation_depth=1)
    desk.role("other")
    desk.provisioner = desk.with_limit(3)
    root = desk.root()
    desk.child(root)
    desk.spawn(NOWHERE)
    for refused in (desk.root, lambda: desk.spawn(root), lambda: desk.spawn(NOWHERE)):
        with pytest.raises(TooOftenError) as told:
            refused()
        assert 19 <= told.value.retry_after_seconds <= 20
        assert "SCOPEBOUND_PROVISION_PER_MINUTE" in str(told.value)
    assert len(desk.judge.asked) == 2
    assert desk.root("other")
    assert desk.provisioner.provision("agent", 0, desk.new_key("enforce"))


def test_a_session_pins_the_newest_baseline_of_its_role(desk: Desk) -> None:
    role = desk.role(max_delegation_depth=1, allowed_tools=["read", "send"])
    helper = desk.role("helper", allowed_tools=["read"])
    baselines = desk.provisioner.baselines

    def refit(of: Role, **calls: int) -> int:
        store_ended(desk.engine, of.id, [calls] * 25)
        found = baselines.fit(of.id, of.allowed_tools)
        assert found is not None
        return found.id

    def pinned(session: Session) -> int | None:
        return desk.sessions.get(session.session_id).baseline_id

    root = desk.root()
    assert pinned(root) is None
    former = refit(role, read=9, send=1)
    second = desk.root()
    assert pinned(second) == former
    newest, of_helper = refit(role, send=5), refit(helper, read=3)
    assert pinned(desk.root()) == pinned(desk.child(root)) == newest != former
    assert pinned(desk.child(root, "helper")) == of_helper
    assert (pinned(root), pinned(second)) == (None, former)


def test_what_is_refused_for_another_reason_takes_nothing(desk: Desk) -> None:
    role = desk.role()
    desk.provisioner = desk.with_limit(1)
    desk.roles.suspend(role.id, "")
    for _ in range(3):
        with pytest.raises(ConflictError):
            desk.root()
    desk.roles.resume(role.id)
    assert desk.root()
