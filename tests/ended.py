"""Sessions that have ended, as baselines are fitted to them."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from sqlalchemy import Engine, insert

from scopebound_engine.database.engine import transaction
from scopebound_engine.database.schema import ended_sessions


def store_ended(engine: Engine, role_id: str, sessions: Iterable[Mapping[str, int]]) -> None:
    """Sessions of a role that made these calls, by tool."""
    ended_at = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    rows = [
        {
            "session_id": str(uuid.uuid4()),
            "role_id": role_id,
            "ended_at": ended_at,
            "counts": dict(counts),
        }
        for counts in sessions
    ]
    with transaction(engine) as connection:
        connection.execute(insert(ended_sessions), rows)
