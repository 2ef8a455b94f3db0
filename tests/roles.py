"""Stored roles for tests of what needs one to exist."""

import time

from sqlalchemy import Engine

from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore

ROLE_ID = "3bcedc38-a87a-4c2a-bc50-7693cb90af2d"


def store_role(engine: Engine, **fields: object) -> Role:
    """A new role with the id ROLE_ID."""
    store = RoleStore(engine, time.time, new_id=lambda: ROLE_ID)
    return store.create(parse(RoleFields, {"name": "a-role", **fields}))
