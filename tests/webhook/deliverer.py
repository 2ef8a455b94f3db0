"""A process that delivers until it is killed: `python -m tests.webhook.deliverer FOLDER [URL]`."""

import sys
import time
from pathlib import Path

from scopebound_engine.database.engine import open_database
from scopebound_engine.role.store import RoleStore
from scopebound_engine.webhook.delivery import Delivery
from scopebound_engine.webhook.queue import Queue
from tests.webhook.delivering import local_poster

HOLD_SECONDS = 1.0


def main(folder: str, url: str | None = None) -> None:
    """Deliver what is due, as time goes on."""
    engine = open_database(url, Path(folder))
    queue = Queue(engine, hold_seconds=HOLD_SECONDS)
    delivery = Delivery(queue, local_poster(), RoleStore(engine, time.time).get)
    while True:
        delivery.run()
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
