"""From the journal to the receiver, for tests: each part is the one that is served."""

import itertools
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from scopebound_engine.addresses import networks
from scopebound_engine.database.engine import transaction
from scopebound_engine.database.webhook_tables import webhook_outbox
from scopebound_engine.log.shipper import Shipper
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore
from scopebound_engine.webhook.delivery import Delivery
from scopebound_engine.webhook.outbox import Outbox
from scopebound_engine.webhook.posting import Poster
from scopebound_engine.webhook.queue import Queue
from tests.clocks import Ahead
from tests.journals import NODE, NOW_US, Written, denied

SECRET = "a-secret-of-a-webhook"
LOCAL = networks("127.0.0.0/8, ::1/128")


def local_poster(**settings: Any) -> Poster:
    """One that may reach this machine over plain HTTP."""
    return Poster(**{"networks": LOCAL, "allow_http": True, "seconds": 2.0, **settings})


class Node:
    """A journal, its shipper and what delivers; `clock` is everybody's."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        poster: Poster | None = None,
        attempts: int = 2,
        hold_seconds: float = 30.0,
    ) -> None:
        self.clock = Ahead()
        self.journal = Written(folder / "log")
        self.shipper = Shipper(engine, self.journal.folder, NODE, [Outbox(self.clock).take])
        self.roles = RoleStore(engine, self.clock)
        self.queue = Queue(engine, attempts=attempts, hold_seconds=hold_seconds, clock=self.clock)
        self.delivery = Delivery(self.queue, poster or local_poster(), self.roles.get, self.clock)
        self._numbers = itertools.count(1)

    def role(self, url: str, secret: str = SECRET) -> Role:
        """A new role with a webhook."""
        fields = {"name": f"role {uuid.uuid4()}", "webhook_url": url, "webhook_secret": secret}
        return self.roles.create(parse(RoleFields, fields))

    def denial(self, to: Role, **fields: Any) -> dict[str, Any]:
        """The record of a call that was denied just now; of a session of its own."""
        number = next(self._numbers)
        made = denied(
            number,
            at_us=int(self.clock() * 1_000_000),
            deny_code="SCOPE_VIOLATION",
            tool_name="delete_invoice",
            agent=f"agent:{to.id}",
            role={"id": to.id, "name": to.name, "revision": 1},
            session={"id": f"session-{number}"},
            violations=[
                {
                    "code": "SCOPE_VIOLATION",
                    "severity": "medium",
                    "reason": 'tool "delete_invoice" is not in allowed_tools',
                }
            ],
        )
        return made | fields

    def deny(self, to: Role, count: int = 1, **fields: Any) -> None:
        """Record denials and ship them."""
        self.journal.append(*(self.denial(to, **fields) for _ in range(count)))
        self.shipper.run()

    def deliver_until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Deliver what is due, as time goes on, until it is so."""
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends, "not in time"
            self.delivery.run()
            time.sleep(0.02)

    def deliver(self, seconds: float = 20.0) -> None:
        """Deliver until none waits."""
        self.deliver_until(lambda: self.queue.pending() == 0, seconds)


def store_dead_letter(engine: Engine, webhook_id: str, role_id: str) -> None:
    """One that was given up."""
    row = {
        "id": webhook_id,
        "role_id": role_id,
        "at_us": NOW_US,
        "ready_us": NOW_US,
        "payload": '{"event":"deny"}',
        "attempts": 2,
        "error": "it answered 503",
        "dead_us": NOW_US,
    }
    with transaction(engine) as connection:
        connection.execute(insert(webhook_outbox), row)


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port
