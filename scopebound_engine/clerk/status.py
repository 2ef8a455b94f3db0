"""What the clerk says of itself: a small file that every worker of the node reads.

It is written each second and not synced to the disk: after a crash of the machine it is worthless.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from scopebound_engine import strict_json, whole_file
from scopebound_engine.housekeeping import LaneReport
from scopebound_engine.log import batches

FILE: Final = "status.json"
WRITE_SECONDS: Final = 1.0
# A clerk that says nothing for so long hangs or starves; starting takes a second or two.
SILENT_SECONDS: Final = 15.0
# From here on they are problems: records or webhooks that wait, jobs that fail or do not end.
LAG_SECONDS: Final = 30.0
FAILING_SECONDS: Final = 10.0
BUSY_SECONDS: Final = 300.0
WEBHOOK_SECONDS: Final = 600.0
_CACHED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Shipped:
    """The last record that is in the database, and since when (epoch) the one behind it waits.

    None where that is not known, or nothing waits.
    """

    seq: int | None = None
    waits_since: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many webhooks of all nodes wait to be delivered, and for how long the eldest has."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Status:
    """What a clerk said at a moment (epoch seconds)."""

    at: float
    pid: int
    shipped: Shipped = Shipped()
    webhooks: Waiting | None = None
    lanes: Mapping[str, LaneReport] = field(default_factory=dict)


_STATUS: Final = TypeAdapter(Status)


def write(folder: Path, status: Status) -> None:
    """Put this in place of what was said before. Raises OSError."""
    whole_file.write(folder / FILE, strict_json.dumps(asdict(status)), mode=0o600, durable=False)


def read(folder: Path) -> Status | None:
    """What was said last; None where that is nothing or cannot be read."""
    with suppress(OSError, ValidationError):
        return _STATUS.validate_json((folder / FILE).read_bytes())
    return None


@dataclass(frozen=True, slots=True)
class Lag:
    """What of the journal is not in the database: records, and how long the first has waited."""

    records: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """The clerk as a worker sees it. The lag is None where it is not known."""

    silent_seconds: float
    lag: Lag | None
    status: Status | None

    @property
    def is_up(self) -> bool:
        """Whether it was heard of lately."""
        return self.silent_seconds <= SILENT_SECONDS

    def problems(self) -> list[str]:
        """What is wrong, for operators."""
        found = []
        if not self.is_up:
            found.append(f"the clerk has been silent for {self.silent_seconds:.0f} s")
        if self.lag is not None and self.lag.seconds > LAG_SECONDS:
            found.append(
                f"the decision log is {self.lag.records} records and {self.lag.seconds:.0f} s "
                "behind in the database"
            )
        webhooks = self.status.webhooks if self.status else None
        if webhooks is not None and webhooks.seconds > WEBHOOK_SECONDS:
            found.append(
                f"{webhooks.count} webhooks wait to be delivered, one for {webhooks.seconds:.0f} s"
            )
        for lane in self.status.lanes.values() if self.status and self.is_up else ():
            if lane.failing_seconds > FAILING_SECONDS:
                found.append(f"the clerk cannot {lane.problem}")
            if lane.busy_seconds > BUSY_SECONDS:
                found.append(f"the clerk has been at '{lane.job}' for {lane.busy_seconds:.0f} s")
        return found


class Watch:
    """Looks at the clerk of a node, at most once a second."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._began = folder, time.time()
        self._seen: Seen | None = None
        self._seen_at = 0.0

    def look(self) -> Seen:
        """The clerk now. One that never said anything is silent since this worker began."""
        seen, now = self._seen, time.monotonic()
        if seen is None or now - self._seen_at > _CACHED_SECONDS:
            seen = self._looked()
            self._seen, self._seen_at = seen, now
        return seen

    def _looked(self) -> Seen:
        status, now = read(self._folder), time.time()
        if status is None:
            return Seen(now - self._began, None, None)
        silent = min(now - status.at, now - self._began)
        return Seen(max(0.0, silent), self._lag(status, now), status)

    def _lag(self, status: Status, now: float) -> Lag | None:
        """As the journal is now, whether or not the clerk is still there."""
        shipped = status.shipped
        if shipped.seq is None:
            return None
        with suppress(OSError):
            records = max(0, batches.last_number(self._folder) - shipped.seq)
            since = shipped.waits_since or status.at
            return Lag(records, max(0.0, now - since) if records else 0.0)
        return None
