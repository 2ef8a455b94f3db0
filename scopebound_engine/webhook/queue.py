"""Which webhook is next: those of a role one after the other, whichever node sends them.

Whoever takes one in hand holds the role's lane for so long as an attempt can last. Where it was
killed meanwhile, the same webhook, with the same id, is taken in hand again after that.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Engine,
    Select,
    Update,
    delete,
    func,
    select,
    update,
)

from scopebound_engine import strict_json
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.webhook_tables import (
    webhook_lanes,
    webhook_outbox,
    webhook_repeats,
)
from scopebound_engine.errors import NotFoundError
from scopebound_engine.webhook.outbox import LOCK, MINUTE_US, OLDEST_US, wake

_OUT: Final = webhook_outbox.c
_LANE: Final = webhook_lanes.c
_DAY_US: Final = 24 * 60 * MINUTE_US
_KEPT_REPEATS_US: Final = 60 * MINUTE_US
_AT_ONCE: Final = 1_000
_TIDY_SECONDS: Final = 2.0
_FIRST_PAUSE_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 300.0
_ERROR_LENGTH: Final = 300
_LATE: Final = "it could not be delivered within a day"


@dataclass(frozen=True, slots=True)
class Message:
    """A webhook in hand. `attempt` is 1 the first time; `payload` is the body."""

    number: int
    id: str
    role_id: str
    payload: bytes
    attempt: int


@dataclass(frozen=True, slots=True)
class Done:
    """How an attempt ended; `problem` is empty where the receiver accepted it."""

    message: Message
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not be delivered. Times are microseconds since the epoch."""

    number: int
    id: str
    role_id: str
    payload: bytes
    attempts: int
    error: str
    at_us: int
    dead_us: int


class Queue:
    """The outbox as it is emptied. Every method raises DatabaseUnavailableError."""

    def __init__(
        self,
        engine: Engine,
        *,
        attempts: int = 2,
        hold_seconds: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`attempts` for each webhook; an attempt ends within `hold_seconds`, however it does."""
        self._engine, self._clock = engine, clock
        self._attempts, self._hold_us = attempts, int(hold_seconds * 1_000_000)

    def due(self) -> list[str]:
        """The roles in whose lanes something may be done now, the longest due first."""
        now = self._now()
        ready = select(_LANE.role_id).where(_LANE.due_us <= now, _LANE.held_until_us <= now)
        with reading(self._engine) as connection:
            return list(connection.execute(ready.order_by(_LANE.due_us)).scalars())

    def note(self, done: Done) -> None:
        """Note how an attempt ended."""
        with transaction(self._engine, lock=LOCK) as connection:
            self._settle(connection, done)

    def next(self, role_id: str, done: Done | None = None) -> Message | None:
        """Note how the former one ended, and take the next one in hand if one is ready."""
        with transaction(self._engine, lock=LOCK) as connection:
            if done is not None:
                self._settle(connection, done)
            return self._claim(connection, role_id)

    def drop(self, role_id: str) -> None:
        """Forget what waits for a role that has no receiver any more."""
        with transaction(self._engine, lock=LOCK) as connection:
            connection.execute(
                delete(webhook_outbox).where(_OUT.role_id == role_id, _OUT.dead_us.is_(None))
            )
            self._hold(connection, role_id, 0, due_us=None)

    def pending(self) -> int:
        """How many wait to be delivered, some of them for their minute to be over."""
        with reading(self._engine) as connection:
            query = select(func.count()).where(_OUT.dead_us.is_(None))
            return connection.execute(query).scalar_one()

    def oldest_seconds(self) -> float:
        """For how long the denial has waited that has waited longest; 0 where none does."""
        with reading(self._engine) as connection:
            query = select(func.min(_OUT.at_us)).where(_OUT.dead_us.is_(None))
            at_us = connection.execute(query).scalar()
        return 0.0 if at_us is None else max(0.0, (self._now() - at_us) / 1_000_000)

    def dead_letters(self, limit: int, before: int | None = None) -> list[DeadLetter]:
        """Those that could not be delivered, the newest first, from below a number on."""
        query = select(webhook_outbox).where(_OUT.dead_us.is_not(None))
        if before is not None:
            query = query.where(_OUT.number < before)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_OUT.number.desc()).limit(limit)).all()
        return [
            DeadLetter(
                number=row.number,
                id=row.id,
                role_id=row.role_id,
                payload=_body(row),
                attempts=row.attempts,
                error=row.error,
                at_us=row.at_us,
                dead_us=row.dead_us,
            )
            for row in rows
        ]

    def retry(self, message_id: str) -> str:
        """Deliver one of these again, as if it were new; its role's id. Raises NotFoundError."""
        now = self._now()
        again = update(webhook_outbox).where(_OUT.id == message_id, _OUT.dead_us.is_not(None))
        # Its time is now: a day later it is given up again.
        values = {"dead_us": None, "attempts": 0, "ready_us": now, "at_us": now}
        with transaction(self._engine, lock=LOCK) as connection:
            role_id = connection.execute(again.values(values).returning(_OUT.role_id)).scalar()
            if role_id is None:
                raise NotFoundError(
                    f"there is no dead letter with the id {message_id}; "
                    "GET /mgmt/v1/webhooks/dead-letters lists them all"
                )
            wake(connection, [(role_id, now)])
        return str(role_id)

    def tidy(self, kept_days: int) -> None:
        """Give up what has waited for a day, and forget dead letters that are so old."""
        now = self._now()
        late = select(_OUT.number).where(_OUT.dead_us.is_(None), _OUT.at_us < now - OLDEST_US)
        old = select(_OUT.number).where(_OUT.dead_us < now - kept_days * _DAY_US)
        dies = update(webhook_outbox).values(dead_us=now, error=_LATE)
        self._some_at_once(dies, _OUT.number, late)
        self._some_at_once(delete(webhook_outbox), _OUT.number, old)
        repeats = webhook_repeats.c
        over = select(repeats.key).where(repeats.from_us < now - _KEPT_REPEATS_US)
        self._some_at_once(delete(webhook_repeats), repeats.key, over)

    def _some_at_once(self, change: Update | Delete, key: Column[Any], which: Select[Any]) -> None:
        """Others must not wait until all are changed."""
        ends, count = time.monotonic() + _TIDY_SECONDS, _AT_ONCE
        while count == _AT_ONCE and time.monotonic() < ends:
            with transaction(self._engine, lock=LOCK) as connection:
                some = change.where(key.in_(which.limit(_AT_ONCE)))
                count = connection.execute(some).rowcount

    def _settle(self, connection: Connection, done: Done) -> None:
        message = done.message
        # Unless somebody took it in hand since, because this took too long.
        mine = (_OUT.number == message.number) & (_OUT.attempts == message.attempt)
        if not done.problem:
            ended: Any = delete(webhook_outbox)
        else:
            is_last = message.attempt >= self._attempts
            ended = update(webhook_outbox).values(
                error=done.problem[:_ERROR_LENGTH], dead_us=self._now() if is_last else None
            )
        if connection.execute(ended.where(mine)).rowcount:
            pause = 0.0
            if done.problem and message.attempt < self._attempts:
                pause = _FIRST_PAUSE_SECONDS * 2.0 ** (message.attempt - 1)
            until = self._now() + int(min(pause, _LONGEST_PAUSE_SECONDS) * 1_000_000)
            self._hold(connection, message.role_id, until if pause else 0)

    def _claim(self, connection: Connection, role_id: str) -> Message | None:
        now = self._now()
        is_free = select(_LANE.role_id).where(_LANE.role_id == role_id, _LANE.held_until_us <= now)
        if connection.execute(is_free).first() is None:
            return None
        waiting = select(webhook_outbox).where(_OUT.role_id == role_id, _OUT.dead_us.is_(None))
        row = connection.execute(waiting.order_by(_OUT.ready_us, _OUT.number).limit(1)).first()
        if row is None or row.ready_us > now:
            self._hold(connection, role_id, 0, due_us=None if row is None else row.ready_us)
            return None
        attempt = row.attempts + 1
        taken = update(webhook_outbox).where(_OUT.number == row.number)
        connection.execute(taken.values(attempts=attempt))
        self._hold(connection, role_id, now + self._hold_us)
        return Message(row.number, row.id, role_id, _body(row), attempt)

    def _hold(self, connection: Connection, role_id: str, until_us: int, **also: Any) -> None:
        lane = update(webhook_lanes).where(_LANE.role_id == role_id)
        connection.execute(lane.values(held_until_us=until_us, **also))

    def _now(self) -> int:
        return int(self._clock() * 1_000_000)


def _body(row: Any) -> bytes:
    payload: str = row.payload
    if row.joined is None:
        return payload.encode()
    return strict_json.dumps(json.loads(payload) | {"count": row.joined})
