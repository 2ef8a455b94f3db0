"""GET /metrics: what the node did and how it is, in Prometheus' text format.

Counters and durations are those of all workers of the node, since its data folder was made. What
is told of the bundle and of the journal's writing is that of the worker that answers.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import falcon
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from scopebound_engine import meter
from scopebound_engine.clerk.keeper import Keeper
from scopebound_engine.decision.follower import Follower
from scopebound_engine.log import batches
from scopebound_engine.log import status as log_status
from scopebound_engine.log.recorder import Recorder
from scopebound_engine.meter import BOUNDS, SUM, Meter

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_BOUND_NAMES: Final = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")
_PREFIX: Final = "scopebound_"

log = structlog.get_logger()

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Counted = Mapping[tuple[str, ...], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Metrics:
    """The node in numbers."""

    meter: Meter
    follower: Follower
    recorder: Recorder
    clerk: Keeper
    log_dir: Path
    clock: Callable[[], float]

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """The node's metrics; no API key is needed."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Found((*counted(self.meter), *self._state())))
        resp.content_type = TEXT
        resp.data = generate_latest(registry)

    def _state(self) -> Iterator[Family]:
        yield from self._bundle()
        yield from self._journal()
        yield from self._clerk()

    def _bundle(self) -> Iterator[Family]:
        report = self.follower.report()
        yield _gauge("bundle_generation", "The generation in force; 0 for none.", report.generation)
        if report.loaded_at is not None:
            age = self.clock() - report.loaded_at.timestamp()
            yield _gauge("bundle_age_seconds", "Since it came in force here.", max(0.0, age))

    def _journal(self) -> Iterator[Family]:
        writable = not self.recorder.problem()
        yield _gauge("journal_writable", "Whether the last record could be written.", writable)
        signed = log_status.Status(self.log_dir, log_status.CHECKPOINTS).read()
        if signed.get("signed_at"):
            age = time.time() - float(signed["signed_at"])
            yield _gauge("checkpoint_age_seconds", "Since the last one was signed.", max(0.0, age))
        with suppress(OSError):
            unsigned = batches.last_number(self.log_dir) - int(signed.get("size", 0))
            yield _gauge("checkpoint_lag_records", "Behind the last checkpoint.", max(0, unsigned))
        verified = log_status.Status(self.log_dir, log_status.VERIFICATION).read()
        if verified.get("last_chain_verified_at"):
            age = time.time() - float(verified["last_chain_verified_at"])
            yield _gauge("chain_verified_age_seconds", "Since the chain was sound.", max(0.0, age))

    def _clerk(self) -> Iterator[Family]:
        seen = self.clerk.watch.look()
        is_up = seen.status is not None and seen.is_up
        yield _gauge("clerk_up", "Whether the clerk was heard of lately.", is_up)
        if seen.lag is not None:
            records, seconds = seen.lag.records, seen.lag.seconds
            yield _gauge("journal_lag_records", "Not yet in the database.", records)
            yield _gauge("journal_lag_seconds", "How long the first of them has waited.", seconds)
        waiting = seen.status.webhooks if seen.status is not None else None
        if waiting is not None:
            yield _gauge("webhook_queue", "Webhooks to be delivered, of all nodes.", waiting.count)
            yield _gauge("webhook_age_seconds", "How long one has waited most.", waiting.seconds)


def counted(of: Meter) -> Iterator[Family]:
    """What the meters of all workers counted; nothing where that cannot be read."""
    try:
        total = of.tally.total()
    except OSError as error:
        log.error("counters are left out of the metrics", reason=str(error))
        return
    found = {tuple(name.split("\t")): numbers for name, numbers in total.items()}
    decisions = CounterMetricFamily(
        f"{_PREFIX}decisions", "Recorded decisions.", labels=("event", "deny_code")
    )
    for (name, *labels), numbers in sorted(found.items()):
        if name == meter.DECISIONS and numbers[0]:
            decisions.add_metric(labels, numbers[0])
    yield decisions
    yield _durations("decision_seconds", "From the request's arrival to the record.", found, ())
    stages = [(meter.STAGE, stage) for stage in meter.STAGES]
    yield _durations("decision_stage_seconds", "Where the time went.", found, stages)
    for name, key, meaning in (
        ("unrecorded_denials", meter.UNRECORDED, "Denials for want of a record."),
        ("late_answers", meter.LATE, "Answers that did not reach their caller in time."),
        ("evaluator_restarts", meter.REPLACED, "Evaluators that replaced a lost one."),
    ):
        yield CounterMetricFamily(f"{_PREFIX}{name}", meaning, value=found[key,][0])


def _durations(
    name: str, meaning: str, found: Counted, keys: Sequence[tuple[str, ...]]
) -> HistogramMetricFamily:
    labels = ("stage",) if keys else ()
    family = HistogramMetricFamily(f"{_PREFIX}{name}", meaning, labels=labels)
    for key in keys or [(meter.TOTAL,)]:
        counts = zip(_BOUND_NAMES, accumulate(found[key][:SUM]), strict=True)
        family.add_metric(key[1:], list(counts), found[key][SUM] / 1e6)
    return family


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}{name}", meaning, value=value)


class _Found(Collector):
    """Hands over what was found."""

    def __init__(self, families: Sequence[Any]) -> None:
        self._families = families

    def collect(self) -> Sequence[Any]:
        return self._families
