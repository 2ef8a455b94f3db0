"""What a node does for its decision log from time to time."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from scopebound_engine.housekeeping import Job
from scopebound_engine.log.retention import Retention
from scopebound_engine.log.shipper import Shipper

SHIPPING: Final = "ship"
_SHIP_SECONDS: Final = 1.0
_FORGET_SECONDS: Final = 3_600.0
_FORGETTING: Final = "forget"


def jobs(
    shipper: Shipper, retention: Retention, let_go: Callable[[datetime], object]
) -> tuple[Job, ...]:
    """The jobs of a node; `let_go` forgets bundles' bytes, see `Registry.let_go`."""
    return (
        Job("ship the decision log", _SHIP_SECONDS, shipper.run, SHIPPING),
        Job("forget old records", _FORGET_SECONDS, retention.forget_records, _FORGETTING),
        Job("forget old counts", _FORGET_SECONDS, retention.forget_counts, _FORGETTING),
        Job("delete old segments", _FORGET_SECONDS, retention.delete_segments, _FORGETTING),
        Job("let go of bundles", _FORGET_SECONDS, lambda: retention.let_go(let_go), _FORGETTING),
    )
