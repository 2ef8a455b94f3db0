"""Deciding again what was decided, from its record: the same input, bundle and evaluators.

All that a verdict depends on is in the recorded input, the time among it; neither a clock nor the
state of sessions plays a part. Compared is all that the policy said: allow or deny, and every
violation with its fields, in order. Where a record does not suffice it is said why.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from scopebound_engine import strict_json
from scopebound_engine.decision.active import start_pool
from scopebound_engine.errors import BundleError, EngineError, EvaluationError, NotFoundError
from scopebound_engine.log.record import why
from scopebound_engine.log.replayable import (
    Cause,
    ImpossibleError,
    bundle_of,
    require_decision,
    said,
)
from scopebound_engine.log.shelf import Shelf
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.times import moment

_POOLS: Final = 3
# Nobody waits for the answer: a busy machine is to make no difference.
_EVALUATION_SECONDS: Final = 10.0
_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of one record.

    It is "identical", "different" (`differences` are sentences) or "impossible" for a `cause`,
    which `reason` puts in words. `engine` is the version of this program that recorded it.
    """

    id: str
    event: str
    outcome: Literal["identical", "different", "impossible"]
    engine: str = ""
    differences: tuple[str, ...] = ()
    cause: Cause | None = None
    reason: str = ""


class Reproducer:
    """Decides records again, one at a time; a context manager, which ends its evaluators."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        # By checksum, the one used last at the end; of a bundle that cannot be had a text says why.
        self._pools: OrderedDict[str, EvaluatorPool | str] = OrderedDict()

    def __enter__(self) -> "Reproducer":
        return self

    def __exit__(self, *_: object) -> None:
        while self._pools:
            self._let_go()

    def reproduce(self, record: Mapping[str, Any]) -> Reproduction:
        """Decide it again and compare. Raises what the shelf's places raise, and ConfigError."""
        named = (record["id"], record["event"])
        engine = str(record.get("engine", ""))
        try:
            require_decision(record)
            checksum, at_us = bundle_of(record)
            pool = self._pool(checksum, at_us)
        except ImpossibleError as error:
            return Reproduction(*named, "impossible", engine, cause=error.cause, reason=str(error))
        found = tuple(_differences(said(record), _decided(pool, record)))
        return Reproduction(*named, "different" if found else "identical", engine, found)

    def _pool(self, checksum: str, at_us: int) -> EvaluatorPool:
        if checksum not in self._pools:
            if len(self._pools) >= _POOLS:
                self._let_go()
            self._pools[checksum] = self._started(checksum, at_us)
        self._pools.move_to_end(checksum)
        pool = self._pools[checksum]
        if isinstance(pool, str):
            raise ImpossibleError("bundle", pool)
        return pool

    def _started(self, checksum: str, at_us: int) -> EvaluatorPool | str:
        try:
            bundle = self._shelf.bundle(checksum, moment(at_us / 1_000_000))
            return start_pool(bundle, evaluators=1, seconds=_EVALUATION_SECONDS)
        except (NotFoundError, BundleError, EngineError) as error:
            return f"its bundle cannot be had: {error}"

    def _let_go(self) -> None:
        _, pool = self._pools.popitem(last=False)
        if isinstance(pool, EvaluatorPool):
            pool.close()


def _decided(pool: EvaluatorPool, record: Mapping[str, Any]) -> dict[str, Any]:
    """The same of the verdict that the policy gives now."""
    try:
        verdict = pool.evaluate(record["input"], time.monotonic() + _SECONDS)
    except EvaluationError as error:
        return {"verdict": f"none: {error}"}
    decision = "allow" if verdict.allow else "deny"
    event = f"{record['event'].rpartition('.')[0]}.{decision}"
    return {"event": event, "decision": decision, **dict(why(verdict))}


def _differences(recorded: Any, again: Any) -> Iterator[str]:
    one, other = dict(_leaves(recorded)), dict(_leaves(again))
    for place in sorted(one.keys() | other.keys()):
        was, now = one.get(place, "nothing"), other.get(place, "nothing")
        if was != now:
            yield f"{place}: recorded {was}, now {now}"


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Each scalar as JSON, so that 1 is not true, by its JSON pointer."""
    items = value.items() if type(value) is dict else enumerate(value)
    for key, item in items:
        if type(item) in (dict, list) and item:
            yield from _leaves(item, f"{place}/{key}")
        else:
            yield f"{place}/{key}", strict_json.dumps(item).decode()
