"""Deciding again what was decided, from its record: the same input, bundle and evaluators.

All that a verdict depends on is in the recorded input, the time among it; neither a clock nor the
state of sessions plays a part. Compared is all that the policy said: allow or deny, and every
violation with its fields, in order. Where a record does not suffice it is said why.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from scopebound_engine import strict_json
from scopebound_engine.decision.active import start_pool
from scopebound_engine.errors import (
    BundleError,
    EngineError,
    EvaluationError,
    InputError,
    NotFoundError,
)
from scopebound_engine.log.record import why
from scopebound_engine.log.shelf import Shelf
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.times import moment

# Why a decision cannot be made again: the record is of no decision, of a repeated answer, of one
# that the engine gave without the policy, of an input with masked values; or the bundle is gone.
Cause = Literal["no decision", "replay", "engine", "masked", "bundle"]
CAUSES: Final = get_args(Cause)

_SUBJECTS: Final = frozenset({"tool_call", "mcp_tool_call", "delegation"})
_VERBS: Final = frozenset({"allow", "deny", "replay"})
# More than the largest body that can be configured makes of a line.
_LIMITS: Final = {"depth": 128, "values": 1_000_000}
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


class _ImpossibleError(Exception):
    """Why a record cannot be decided again."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause: Cause = cause


def read(line: bytes) -> dict[str, Any]:
    """The record in a line of a journal or of an export, JSON or JSON Lines. Raises InputError."""
    document = strict_json.loads(line.strip(b"[], \t\r\n"), **_LIMITS)
    record = document.get("record") if type(document) is dict else None
    if type(record) is dict and all(type(record.get(key)) is str for key in ("id", "event")):
        return record
    raise InputError("", "this is no line of a decision log")


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
            _require_decision(record)
            checksum, at_us = _bundle_of(record)
            pool = self._pool(checksum, at_us)
        except _ImpossibleError as error:
            return Reproduction(*named, "impossible", engine, cause=error.cause, reason=str(error))
        found = tuple(_differences(_said(record), _decided(pool, record)))
        return Reproduction(*named, "different" if found else "identical", engine, found)

    def _pool(self, checksum: str, at_us: int) -> EvaluatorPool:
        if checksum not in self._pools:
            if len(self._pools) >= _POOLS:
                self._let_go()
            self._pools[checksum] = self._started(checksum, at_us)
        self._pools.move_to_end(checksum)
        pool = self._pools[checksum]
        if isinstance(pool, str):
            raise _ImpossibleError("bundle", pool)
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


def _require_decision(record: Mapping[str, Any]) -> None:
    """Raises _ImpossibleError unless the policy alone made the decision, of an input in clear."""
    subject, _, verb = record["event"].rpartition(".")
    if subject not in _SUBJECTS or verb not in _VERBS:
        about = f"; it is about {record['of']}" if "of" in record else ""
        raise _ImpossibleError("no decision", f"{record['event']} is no decision{about}")
    if verb == "replay":
        first = record.get("of") or f"the first record of call_id {record.get('call_id')}"
        raise _ImpossibleError("replay", f"a call that was repeated; reproduce {first}")
    if "input" not in record or "bundle" not in record:
        code = record.get("deny_code", "no code")
        raise _ImpossibleError("engine", f"the engine denied it by itself, with {code}")
    if masked := record.get("masked"):
        values = ", ".join(map(str, masked))
        raise _ImpossibleError("masked", f"masked, so that the policy saw other values: {values}")


def _bundle_of(record: Mapping[str, Any]) -> tuple[str, int]:
    bundle, at_us = record["bundle"], record.get("at_us")
    checksum = bundle.get("checksum") if type(bundle) is dict else None
    if type(checksum) is not str or type(at_us) is not int or type(record["input"]) is not dict:
        raise InputError("", f"the record {record['id']} has no input, bundle and time that fit")
    return checksum, at_us


def _said(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says that the policy said; the places of rules are the engine's own words."""
    said = {name: record[name] for name in ("event", "decision", "deny_code") if name in record}
    if "violations" not in record:
        return said
    violations = record["violations"]
    if type(violations) is not list or not all(type(one) is dict for one in violations):
        raise InputError("", f"the record {record['id']} has violations that are none")
    cleared = [{key: one[key] for key in one if key != "rules"} for one in violations]
    return said | {"violations": cleared}


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
