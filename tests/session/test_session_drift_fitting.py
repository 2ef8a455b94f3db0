"""Baselines of roles, fitted to the sessions that ended."""

import time

import pytest
from sqlalchemy import Engine

from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.drift.fitting import fit, fit_all, newest
from tests.ended import store_ended


class World:
    def __init__(self, database: Engine) -> None:
        self.database = database
        self.roles = RoleStore(database, time.time)
        self.baselines = Baselines(database, time.time)

    def role(self, name: str, *tools: str, parent: str = "") -> Role:
        fields = {"name": name, "allowed_tools": list(tools), "parent_role_id": parent}
        return self.roles.create(parse(RoleFields, fields))


@pytest.fixture
def world(database: Engine) -> World:
    return World(database)


def test_all_roles_are_fitted_and_those_that_wait_are_told_too(world: World) -> None:
    reader, mailer = world.role("reader", "read"), world.role("mailer", "mail")
    store_ended(world.database, reader.id, [{"read": 3}] * 25)
    store_ended(world.database, mailer.id, [{"mail": 1}] * 7)
    waiting, ready = fit_all(world.baselines, world.roles)
    assert (waiting.role, waiting.sessions, waiting.stored) == (mailer, 7, None)
    assert (ready.role, ready.sessions) == (reader, 25)
    assert ready.stored is not None
    assert ready.stored == world.baselines.newest(reader.id)
    assert fit_all(world.baselines, world.roles) == [waiting, ready]


def test_the_tools_are_those_that_the_role_has_with_its_ancestors(world: World) -> None:
    world.role("base", "read")
    child = world.role("child", "mail", parent="base")
    store_ended(world.database, child.id, [{"read": 3, "mail": 1, "gone": 1}] * 20)
    fitted = fit(world.baselines, world.roles, child)
    assert fitted.stored is not None
    assert fitted.stored.baseline.tools == ("read", "mail")
    assert fitted.document()["baseline"]["frequencies"] == pytest.approx({"read": 0.6, "mail": 0.2})
    assert fitted.document()["baseline"]["others"] == pytest.approx(0.2)


def test_what_is_fitted_is_the_newest_and_is_told_in_words(world: World) -> None:
    role = world.role("reader", "read", "mail")
    before = newest(world.baselines, role)
    assert before.document() == {
        "ready": False,
        "role_id": role.id,
        "sessions": 0,
        "needed": 20,
        "baseline": None,
        "notices": before.notices,
    }
    assert before.notices[0].startswith("not enough sessions yet: 0 of 20")
    store_ended(world.database, role.id, [{"read": 30, "mail": 1}] * 20)
    assert newest(world.baselines, role).notices[0].startswith("20 sessions have ended")
    fitted = fit(world.baselines, world.roles, role)
    assert fitted == newest(world.baselines, role)
    assert fitted.document()["ready"] is True
    assert "a session that only calls mail would be denied at call 10" in fitted.notices
