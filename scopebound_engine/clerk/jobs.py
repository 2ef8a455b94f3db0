"""The jobs of a node, made from its configuration, and what waits for them."""

import time
from collections.abc import Callable
from typing import Final

from scopebound_engine.bundle.registry.registry import Registry
from scopebound_engine.clerk import status
from scopebound_engine.clerk.status import Shipped, Waiting
from scopebound_engine.config import Config
from scopebound_engine.database.engine import open_database
from scopebound_engine.housekeeping import Job
from scopebound_engine.log import signing
from scopebound_engine.log import upkeep as log_upkeep
from scopebound_engine.log.retention import Retention
from scopebound_engine.log.shipper import Shipper
from scopebound_engine.node import database_url, log_dir, node_id, open_state
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session import upkeep
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.store import Sessions
from scopebound_engine.webhook import parts
from scopebound_engine.webhook.delivery import Delivery
from scopebound_engine.webhook.outbox import Outbox
from scopebound_engine.webhook.parts import open_webhooks

_MEASURE_SECONDS: Final = 1.0
_COUNT_SECONDS: Final = 5.0


class Jobs:
    """All that a clerk does. Raises ConfigError, DatabaseUnavailableError."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        engine = open_database(database_url(config), config.data_dir)
        folder, node = log_dir(config), node_id(config.data_dir)
        former = status.read(folder)
        # Where the database is away, all that is known is what a former clerk knew.
        self._clock, self.shipped = clock, former.shipped if former is not None else Shipped()
        self.waiting: Waiting | None = None
        self._shipper = Shipper(engine, folder, node, [Outbox(clock).take], clock)
        retention = Retention(engine, folder, node, days=config.log_retention_days, clock=clock)
        roles, webhooks = RoleStore(engine, clock), open_webhooks(config, engine, clock)
        self._queue = webhooks.queue
        self._delivery = Delivery(webhooks.queue, webhooks.poster, roles.get, clock)
        self.all: tuple[Job, ...] = (
            *log_upkeep.jobs(self._shipper, retention, Registry(engine, clock).let_go),
            Job("measure the lag", _MEASURE_SECONDS, self._measure, lane=log_upkeep.SHIPPING),
            *signing.jobs(engine, config.data_dir, node, url=config.checkpoint_url, clock=clock),
            *parts.jobs(self._queue, self._delivery, config.log_retention_days),
            Job("count webhooks", _COUNT_SECONDS, self._count, lane=parts.LANE),
            *upkeep.jobs(
                Baselines(engine, clock),
                roles,
                Sessions(engine, clock),
                open_state(config),
                fit_seconds=config.drift_fit_seconds,
            ),
        )

    def close(self, seconds: float) -> None:
        """Send no more webhooks, and wait so long for those under way."""
        self._delivery.close(seconds)

    def _measure(self) -> None:
        lag = self._shipper.lag()
        since = self._clock() - lag.seconds if lag.lines else None
        self.shipped = Shipped(self._shipper.cursor().seq, since)

    def _count(self) -> None:
        self.waiting = Waiting(self._queue.pending(), self._queue.oldest_seconds())
