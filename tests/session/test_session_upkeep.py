"""What sessions leave behind, on both databases."""

import time
import uuid

from sqlalchemy import Engine

from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session import upkeep
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.drift.likelihood import MIN_SESSIONS
from scopebound_engine.session.state.seam import Entry, SessionState
from scopebound_engine.session.store import Sessions
from scopebound_engine.times import moment
from tests.sessions import store_session


def test_sessions_that_ended_are_learned_from_and_let_go_of(
    database: Engine, state: SessionState
) -> None:
    roles, baselines = RoleStore(database, time.time), Baselines(database, time.time)
    role = roles.create(RoleFields(name="reader", allowed_tools=("read", "list")))
    made = int(time.time()) - 120
    ids = [str(uuid.uuid4()) for _ in range(MIN_SESSIONS)]
    for session_id in ids:
        store_session(
            database,
            session_id,
            role_id=role.id,
            created_at=moment(made),
            expires_at=moment(made + 60),
            claims={"allowed_tools": ["read", "list"]},
        )
        state.open(session_id, 5, 0, made + 60)
        for slot in (0, 0, 1):
            state.enter(Entry(session_id, role.id, 5, 0, slot=slot, slots=3))
    jobs = upkeep.jobs(baselines, roles, Sessions(database, time.time), state, fit_seconds=3600)
    for job in jobs:
        job.run()
    assert state.counts_of(ids) == {}
    newest = baselines.newest(role.id)
    assert newest is not None
    assert (newest.baseline.sessions, newest.baseline.calls) == (MIN_SESSIONS, 3 * MIN_SESSIONS)


def test_a_session_that_lives_keeps_its_state(database: Engine, state: SessionState) -> None:
    roles, baselines = RoleStore(database, time.time), Baselines(database, time.time)
    role = roles.create(RoleFields(name="reader"))
    session_id = store_session(database, str(uuid.uuid4()), role_id=role.id).id
    state.open(session_id, 0, 0, int(time.time()) + 60)
    state.enter(Entry(session_id, role.id, 0, 0))
    upkeep.take_over(baselines, state)
    assert state.counts_of([session_id]) == {session_id: (1,)}
