"""Stored sessions for tests of what needs one to be known."""

import time

from sqlalchemy import Engine

from scopebound_engine.session.store import SessionRecord, Sessions
from scopebound_engine.times import moment
from tests.roles import ROLE_ID

# Session state on PostgreSQL: tables that the common schema does not have.
VOLATILE_TABLES = ("session_states", "call_ids")


def store_session(engine: Engine, session_id: str, **fields: object) -> SessionRecord:
    """A new session of the role ROLE_ID, which lasts an hour."""
    now = int(time.time())
    values: dict[str, object] = {
        "role_id": ROLE_ID,
        "role_revision": 1,
        "api_key_id": None,
        "parent_id": None,
        "created_at": moment(now),
        "expires_at": moment(now + 3600),
        "claims": {},
    }
    session = SessionRecord(id=session_id, **(values | fields))  # type: ignore[arg-type]
    assert Sessions(engine, time.time).create(session)
    return session
