"""Delivers what is in the outbox, each role's webhooks in a thread of their own.

A receiver that is slow holds up its own role alone: threads are many, and not all of them are for
roles whose receivers failed lately.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from scopebound_engine.errors import DatabaseUnavailableError, NotFoundError
from scopebound_engine.role.model import Role
from scopebound_engine.webhook import signing
from scopebound_engine.webhook.posting import Outcome, Poster
from scopebound_engine.webhook.queue import Done, Message, Queue

MOST_AT_ONCE: Final = 32
MOST_TROUBLED: Final = 24

log = structlog.get_logger()


class Delivery:
    """Sends what is due. `role_of` finds a role by its id, and raises NotFoundError."""

    def __init__(
        self,
        queue: Queue,
        poster: Poster,
        role_of: Callable[[str], Role],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue, self._poster, self._role_of, self._clock = queue, poster, role_of, clock
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._under_way: dict[str, threading.Thread] = {}
        # Roles whose receivers failed last.
        self._troubled: set[str] = set()

    def run(self) -> None:
        """Begin with all that is due, and do not wait for it. Raises DatabaseUnavailableError."""
        for role_id in self._queue.due():
            with self._changing:
                if self._may_begin(role_id):
                    thread = threading.Thread(
                        target=self._go, args=(role_id,), name="webhooks", daemon=True
                    )
                    self._under_way[role_id] = thread
                    thread.start()

    def close(self, seconds: float = 0.0) -> None:
        """Begin with no more, and wait so long for what is under way."""
        self._closed.set()
        ends = time.monotonic() + seconds
        with self._changing:
            threads = list(self._under_way.values())
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _may_begin(self, role_id: str) -> bool:
        if self._closed.is_set() or role_id in self._under_way:
            return False
        troubled = len(self._under_way.keys() & self._troubled)
        is_full = troubled >= MOST_TROUBLED and role_id in self._troubled
        return not is_full and len(self._under_way) < MOST_AT_ONCE

    def _go(self, role_id: str) -> None:
        try:
            self._empty(role_id)
        except DatabaseUnavailableError as error:
            # What was sent, and could not be noted, is sent again with the same id.
            log.warning("webhooks wait", role_id=role_id, reason=str(error))
        finally:
            with self._changing:
                del self._under_way[role_id]

    def _empty(self, role_id: str) -> None:
        done: Done | None = None
        while (message := self._queue.next(role_id, done)) is not None:
            outcome = self._send(message)
            if outcome is None:
                self._queue.drop(role_id)
                return
            self._tell(message, outcome)
            done = Done(message, outcome.problem)
            if self._closed.is_set():
                self._queue.note(done)
                return

    def _send(self, message: Message) -> Outcome | None:
        """What came of it; None where the role has no receiver any more."""
        try:
            role = self._role_of(message.role_id)
        except NotFoundError:
            return None
        return post(self._poster, role, message.id, message.payload, self._clock())

    def _tell(self, message: Message, outcome: Outcome) -> None:
        with self._changing:
            if outcome.problem:
                self._troubled.add(message.role_id)
            else:
                self._troubled.discard(message.role_id)
        if outcome.problem:
            log.warning(
                "webhook not delivered",
                role_id=message.role_id,
                webhook_id=message.id,
                attempt=message.attempt,
                reason=outcome.problem,
            )


def post(poster: Poster, role: Role, message_id: str, payload: bytes, now: float) -> Outcome | None:
    """Send to a role's receiver, signed with its secret; None where the role has none."""
    if not role.webhook_url:
        return None
    headers = signing.headers(role.webhook_secret, payload, message_id, now)
    return poster.post(role.webhook_url, headers, payload)
