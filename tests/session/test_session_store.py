"""Sessions as they are stored: who may make one, and whom a revocation reaches."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.errors import NotFoundError
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.store import SessionRecord, Sessions
from tests.clocks import Clock

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
Make = Callable[..., SessionRecord]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW.timestamp())


@pytest.fixture
def roles(database: Engine, clock: Clock) -> RoleStore:
    return RoleStore(database, clock)


@pytest.fixture
def store(database: Engine, clock: Clock) -> Sessions:
    return Sessions(database, clock)


@pytest.fixture
def make(roles: RoleStore, store: Sessions) -> Make:
    role = roles.create(RoleFields(name="reader", allowed_tools=("read",)))

    def made(parent: SessionRecord | None = None, **changed: object) -> SessionRecord:
        session = SessionRecord(
            id=str(uuid.uuid4()),
            role_id=role.id,
            role_revision=1,
            api_key_id=None,
            parent_id=parent.id if parent else None,
            created_at=NOW,
            expires_at=NOW + timedelta(hours=1),
            claims={"allowed_tools": ["read"]},
        )
        session = replace(session, **changed)  # type: ignore[arg-type]
        assert store.create(session)
        return session

    return made


def test_a_session_is_found_as_it_was_made(store: Sessions, make: Make) -> None:
    session = make()
    assert store.get(session.id.upper()) == session
    assert session.status(NOW) == "active"
    assert session.status(session.expires_at) == "expired"


def test_an_unknown_session_is_not_found(store: Sessions) -> None:
    assert store.find("nobody") is None
    with pytest.raises(NotFoundError, match="forgotten after 1 day"):
        store.get("nobody")


def test_a_revocation_reaches_everything_below_and_nothing_beside(
    store: Sessions, make: Make
) -> None:
    root, other = make(), make()
    child, sibling = make(root), make(root)
    grandchild = make(child)
    assert store.revoke(child.id, "lost") == 2
    assert [store.get(each.id).status(NOW) for each in (root, sibling, other)] == ["active"] * 3
    for each in (child, grandchild):
        found = store.get(each.id)
        assert (found.status(NOW), found.revoked_reason) == ("revoked", "lost")
    assert store.revoke(root.id, "all") == 2
    assert store.get(grandchild.id).revoked_reason == "lost"
    assert store.revoke(root.id, "again") == 0


def test_a_revocation_passes_through_what_expired(
    store: Sessions, make: Make, clock: Clock
) -> None:
    root = make()
    short = make(root, expires_at=NOW + timedelta(minutes=1))
    below = make(short)
    clock.now += 120
    assert store.revoke(root.id, "end") == 2
    assert store.get(below.id).revoked_at is not None


def test_a_tree_of_a_thousand_sessions_ends_with_its_root(store: Sessions, make: Make) -> None:
    line = [make()]
    for number in range(999):
        line.append(make(line[number // 3]))
    assert store.revoke(line[0].id, "root") == 1_000


def test_nothing_is_spawned_by_what_is_over(store: Sessions, make: Make, clock: Clock) -> None:
    root = make()
    child = replace(make(), id="child", parent_id=root.id)
    store.revoke(root.id, "end")
    assert not store.create(child)
    other = make()
    clock.now += 3_600
    assert not store.create(replace(child, parent_id=other.id))
    assert not store.create(replace(child, parent_id="unknown"))
    assert store.find("child") is None


def test_nothing_is_made_of_a_role_that_is_suspended_or_gone(
    store: Sessions, roles: RoleStore, make: Make
) -> None:
    session = make()
    roles.suspend(session.role_id, "")
    assert not store.create(replace(session, id="second"))
    roles.resume(session.role_id)
    assert store.create(replace(session, id="second"))
    roles.delete(session.role_id)
    assert not store.create(replace(session, id="third"))


def test_nothing_is_made_by_a_key_that_was_revoked(
    store: Sessions, database: Engine, clock: Clock, make: Make
) -> None:
    keys = ApiKeyStore(database, clock)
    key, _ = keys.create("agent", frozenset({"enforce"}))
    session = make(api_key_id=key.id)
    child = make(session)
    keys.revoke(key.id)
    assert store.revoke_of_key(key.id) == 2
    assert store.get(child.id).status(NOW) == "revoked"
    assert not store.create(replace(session, id="second"))


def test_all_sessions_of_a_role_end_with_what_they_spawned(
    store: Sessions, roles: RoleStore, make: Make
) -> None:
    session = make()
    other = roles.create(RoleFields(name="helper", allowed_tools=("read",)))
    child = make(session, role_id=other.id)
    alone = make(role_id=other.id)
    assert store.revoke_of_role(session.role_id, "incident") == 2
    assert store.get(child.id).status(NOW) == "revoked"
    assert store.get(alone.id).status(NOW) == "active"
    with pytest.raises(NotFoundError):
        store.revoke_of_role("nobody", "")


def test_live_sessions_made_before_a_moment_are_counted(
    store: Sessions, make: Make, clock: Clock
) -> None:
    first = make()
    make(created_at=NOW + timedelta(seconds=5))
    ended = make()
    store.revoke(ended.id, "end")
    roles = [first.role_id, "other"]
    assert store.count_former(roles, NOW) == 0
    assert store.count_former(roles, NOW + timedelta(seconds=5)) == 1
    assert store.count_former(roles, NOW + timedelta(seconds=6)) == 2
    assert store.count_former(["other"], NOW + timedelta(seconds=6)) == 0
    assert store.count_former([], NOW + timedelta(seconds=6)) == 0
    clock.now += 3_600
    assert store.count_former(roles, NOW + timedelta(hours=2)) == 0


def test_a_latch_keeps_its_first_moment_until_it_is_cleared(
    store: Sessions, make: Make, clock: Clock
) -> None:
    session = make()
    store.latch(session.id)
    clock.now += 60
    store.latch(session.id)
    assert store.get(session.id).latched_at == NOW
    store.clear_latch(session.id)
    assert store.get(session.id).latched_at is None


def test_no_child_escapes_a_revocation_under_way(store: Sessions, make: Make) -> None:
    def spawn(parent: SessionRecord, start: threading.Barrier, made: list[str]) -> None:
        start.wait()
        last = parent
        for _ in range(6):
            last = replace(last, id=str(uuid.uuid4()), parent_id=last.id)
            if not store.create(last):
                return
            made.append(last.id)

    for _ in range(8):
        root = make()
        line = [root, make(root)]
        line.append(make(line[-1]))
        made: list[str] = []
        start = threading.Barrier(4)
        threads = [threading.Thread(target=spawn, args=(each, start, made)) for each in line]
        for thread in threads:
            thread.start()
        start.wait()
        store.revoke(root.id, "race")
        for thread in threads:
            thread.join()
        assert all(store.get(one).revoked_at is not None for one in made)
        assert all(store.get(one.id).revoked_at is not None for one in line)
