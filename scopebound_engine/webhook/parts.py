"""The parts of webhooks as a node's configuration asks for them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from scopebound_engine.addresses import networks
from scopebound_engine.config import Config
from scopebound_engine.housekeeping import Job
from scopebound_engine.webhook.delivery import Delivery
from scopebound_engine.webhook.posting import Poster
from scopebound_engine.webhook.queue import Queue

# An attempt that has not ended so long after its time is not made any more: its node is gone.
_GRACE_SECONDS: Final = 30.0
LANE: Final = "webhooks"
_SEND_SECONDS: Final = 1.0
_TIDY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What waits to be delivered, and how it is sent."""

    queue: Queue
    poster: Poster


def open_webhooks(
    config: Config, engine: Engine, clock: Callable[[], float] = time.time
) -> Webhooks:
    """The webhooks of a node."""
    seconds = config.webhook_timeout_ms / 1000
    return Webhooks(
        Queue(
            engine,
            attempts=config.webhook_attempts,
            hold_seconds=seconds + _GRACE_SECONDS,
            clock=clock,
        ),
        Poster(
            networks=networks(config.webhook_networks),
            allow_http=config.webhook_allow_http,
            seconds=seconds,
        ),
    )


def jobs(queue: Queue, delivery: Delivery, kept_days: int) -> tuple[Job, ...]:
    """The jobs of one process of each node, none of which takes long; see `Delivery`."""
    return (
        Job("send webhooks", _SEND_SECONDS, delivery.run, LANE),
        Job("tidy webhooks", _TIDY_SECONDS, lambda: queue.tidy(kept_days), LANE),
    )
