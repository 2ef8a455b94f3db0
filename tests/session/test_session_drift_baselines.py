"""Baselines as they are stored, and what is learned of sessions that ended."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from scopebound_engine.errors import NotFoundError
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift import baselines as module
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.drift.likelihood import MIN_SESSIONS
from scopebound_engine.session.store import SessionRecord, Sessions

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
TOOLS = ["read", "mail"]


class World:
    """Sessions of one role, and the calls that they were allowed."""

    def __init__(self, database: Engine) -> None:
        self.now = NOW.timestamp()
        self.role_id = RoleStore(database, self.clock).create(RoleFields(name="reader")).id
        self.sessions = Sessions(database, self.clock)
        self.baselines = Baselines(database, self.clock)
        self.counts: dict[str, Sequence[int]] = {}

    def clock(self) -> float:
        return self.now

    def ran(self, counts: Sequence[int]) -> str:
        """A session that made these calls."""
        session_id = str(uuid.uuid4())
        end = datetime.fromtimestamp(self.now, UTC) + timedelta(minutes=1)
        claims = {"allowed_tools": TOOLS}
        record = SessionRecord(session_id, self.role_id, 1, None, None, NOW, end, claims)
        assert self.sessions.create(record)
        self.counts[session_id] = counts
        return session_id

    def end(self) -> list[str]:
        """Let all expire and be taken over."""
        self.now += 120
        return self.baselines.take_over(self.counts_of)

    def counts_of(self, ids: Sequence[str]) -> Mapping[str, Sequence[int]]:
        return {each: self.counts[each] for each in ids if each in self.counts}


@pytest.fixture
def world(database: Engine) -> World:
    return World(database)


def test_sessions_that_ended_make_a_baseline(world: World) -> None:
    ids = [world.ran((3, 1, 0)) for _ in range(MIN_SESSIONS)]
    assert world.baselines.fit(world.role_id, TOOLS) is None
    assert sorted(world.end()) == sorted(ids)
    fitted = world.baselines.fit(world.role_id, TOOLS)
    assert fitted is not None
    assert (fitted.baseline.sessions, fitted.baseline.calls) == (MIN_SESSIONS, MIN_SESSIONS * 4)
    assert fitted == world.baselines.newest(world.role_id)
    assert world.baselines.get(fitted.id) == fitted.baseline


def test_what_is_live_is_not_taken_over_and_nothing_is_twice(world: World) -> None:
    world.ran((1, 0, 0))
    assert world.baselines.take_over(world.counts_of) == []
    assert len(world.end()) == 1
    assert world.end() == []
    assert world.baselines.count_ended(world.role_id) == 1


def test_nothing_is_learned_of_what_was_revoked_or_drifted_or_did_nothing(world: World) -> None:
    world.sessions.revoke(world.ran((1, 0, 0)), "lost")
    world.sessions.latch(world.ran((1, 0, 0)))
    world.ran((0, 0, 0))
    del world.counts[world.ran((5, 0, 0))]
    assert len(world.end()) == 4
    assert world.baselines.count_ended(world.role_id) == 0


def test_calls_of_tools_that_the_token_does_not_name_are_not_learned(world: World) -> None:
    for _ in range(MIN_SESSIONS):
        world.ran((2, 0, 7))
    world.end()
    fitted = world.baselines.fit(world.role_id, TOOLS)
    assert fitted is not None
    assert fitted.baseline.calls == 2 * MIN_SESSIONS


def test_a_fit_that_changes_nothing_stores_nothing(world: World) -> None:
    for _ in range(MIN_SESSIONS):
        world.ran((3, 1, 0))
    world.end()
    first = world.baselines.fit(world.role_id, TOOLS)
    assert world.baselines.fit(world.role_id, TOOLS) == first
    world.ran((1, 9, 0))
    world.end()
    second = world.baselines.fit(world.role_id, TOOLS)
    assert first is not None
    assert second is not None
    assert second.id > first.id
    assert world.baselines.get(first.id) == first.baseline


def test_only_so_many_sessions_are_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED_SESSIONS", 5)
    for _ in range(3):
        world.ran((1, 0, 0))
    world.end()
    for _ in range(4):
        world.ran((0, 1, 0))
    world.end()
    assert world.baselines.count_ended(world.role_id) == 5


def test_a_baseline_that_is_not_there_is_not_found(world: World) -> None:
    assert world.baselines.newest(world.role_id) is None
    with pytest.raises(NotFoundError):
        world.baselines.get(7)
