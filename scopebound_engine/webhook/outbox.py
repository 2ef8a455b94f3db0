"""What is to be delivered: filled with the decision log's denials while these are stored.

Of identical denials (of one session, with one code, of one tool) within a minute of the first, two
are told of at once, and all others together when the minute is over, with their number.

All that changes the outbox holds one lock, here and in `queue`.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, case, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from scopebound_engine.database import postgres
from scopebound_engine.database.schema import roles
from scopebound_engine.database.webhook_tables import (
    webhook_lanes,
    webhook_outbox,
    webhook_repeats,
)
from scopebound_engine.log.entries import Entry
from scopebound_engine.webhook.denials import Denial, denial

LOCK: Final = "webhooks"
MINUTE_US: Final = 60_000_000
# What is older when it reaches the database is news no more.
OLDEST_US: Final = 24 * 60 * MINUTE_US
_AT_ONCE: Final = 2

_JOIN: Final = (
    update(webhook_outbox)
    .where(webhook_outbox.c.id == bindparam("joined_id"))
    .values(joined=webhook_outbox.c.joined + bindparam("more"))
)


class Outbox:
    """A sink of the shipper, see `log.shipper`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def take(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Note what is to be told of these entries, in the transaction that stores them."""
        now_us = int(self._clock() * 1_000_000)
        news = [one for one in map(denial, entries) if one and one.at_us > now_us - OLDEST_US]
        if not news:
            return
        heard = _with_receivers(connection, {one.role_id for one in news})
        news = [one for one in news if one.role_id in heard]
        if not news:
            return
        if connection.dialect.name == "postgresql":
            postgres.lock(connection, LOCK)
        joining = _Joining(now_us, _repeats(connection, {one.kind for one in news}))
        for one in news:
            joining.add(one)
        _store(connection, joining)


@dataclass(slots=True)
class _Repeat:
    """Identical denials: since when, how many, and where the later ones are joined."""

    from_us: int
    seen: int = 0
    joined_id: str | None = None


@dataclass(slots=True)
class _Joining:
    """Goes through denials in their order; `rows` are new, `more` is by the id of a former row."""

    now_us: int
    repeats: dict[str, _Repeat]
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    more: dict[str, int] = field(default_factory=dict)

    def add(self, one: Denial) -> None:
        repeat = self.repeats.get(one.kind)
        # Nodes' clocks differ, so one may come later that was before.
        if repeat is None or abs(one.at_us - repeat.from_us) >= MINUTE_US:
            repeat = self.repeats[one.kind] = _Repeat(one.at_us)
        repeat.seen += 1
        if repeat.seen <= _AT_ONCE:
            self._new(one, min(one.at_us, self.now_us))
        elif repeat.joined_id is None:
            repeat.joined_id = one.id
            self._new(one, min(repeat.from_us, self.now_us) + MINUTE_US, joined=1)
        elif repeat.joined_id in self.rows:
            self.rows[repeat.joined_id]["joined"] += 1
        else:
            self.more[repeat.joined_id] = self.more.get(repeat.joined_id, 0) + 1

    def _new(self, one: Denial, ready_us: int, joined: int | None = None) -> None:
        self.rows[one.id] = {
            "id": one.id,
            "role_id": one.role_id,
            "at_us": one.at_us,
            "ready_us": ready_us,
            "payload": one.payload,
            "joined": joined,
            "attempts": 0,
            "error": "",
        }


def _with_receivers(connection: Connection, role_ids: Collection[str]) -> set[str]:
    has_receiver = roles.c.fields["webhook_url"].as_string() != ""
    found = select(roles.c.id).where(roles.c.id.in_(role_ids), has_receiver)
    return set(connection.execute(found).scalars())


def _repeats(connection: Connection, kinds: Collection[str]) -> dict[str, _Repeat]:
    table = webhook_repeats.c
    rows = connection.execute(select(webhook_repeats).where(table.key.in_(kinds))).all()
    joined = [row.joined_id for row in rows if row.joined_id is not None]
    # What was taken in hand is changed no more.
    waiting = select(webhook_outbox.c.id).where(
        webhook_outbox.c.id.in_(joined), webhook_outbox.c.attempts == 0
    )
    open_ids = set(connection.execute(waiting).scalars()) if joined else set()
    return {
        row.key: _Repeat(
            row.from_us, row.seen, row.joined_id if row.joined_id in open_ids else None
        )
        for row in rows
    }


def _store(connection: Connection, joining: _Joining) -> None:
    if joining.rows:
        # A restored journal may bring a record again.
        new = _insert(connection, webhook_outbox).on_conflict_do_nothing(index_elements=["id"])
        connection.execute(new, list(joining.rows.values()))
        wake(connection, ((row["role_id"], row["ready_us"]) for row in joining.rows.values()))
    if joining.more:
        rows = [{"joined_id": id_, "more": more} for id_, more in joining.more.items()]
        connection.execute(_JOIN, rows)
    changed = _insert(connection, webhook_repeats)
    names = ("from_us", "seen", "joined_id")
    changed = changed.on_conflict_do_update(
        index_elements=["key"], set_={name: changed.excluded[name] for name in names}
    )
    connection.execute(
        changed,
        [
            {"key": key, "from_us": one.from_us, "seen": one.seen, "joined_id": one.joined_id}
            for key, one in joining.repeats.items()
        ],
    )


def wake(connection: Connection, ready: Iterable[tuple[str, int]]) -> None:
    """Have lanes looked at: by role, when something is ready in them."""
    first: dict[str, int] = {}
    for role_id, ready_us in ready:
        first[role_id] = min(ready_us, first.get(role_id, ready_us))
    new, lane = _insert(connection, webhook_lanes), webhook_lanes.c
    is_sooner = or_(lane.due_us.is_(None), lane.due_us > new.excluded.due_us)
    due_us = case((is_sooner, new.excluded.due_us), else_=lane.due_us)
    connection.execute(
        new.on_conflict_do_update(index_elements=["role_id"], set_={"due_us": due_us}),
        [
            {"role_id": role_id, "due_us": due_us, "held_until_us": 0}
            for role_id, due_us in first.items()
        ],
    )


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    is_sqlite = connection.dialect.name == "sqlite"
    return sqlite.insert(table) if is_sqlite else postgresql.insert(table)
