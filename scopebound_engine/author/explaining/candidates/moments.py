"""Another time, or another session: waiting, and provisioning again."""

from collections.abc import Iterator
from typing import Any, Final

from scopebound_engine.author.explaining.candidates.change import Change
from scopebound_engine.author.explaining.world import Document, Edit, at
from scopebound_engine.times import moment, timestamp

_HOUR_MS: Final = 3_600_000
_WEEK_HOURS: Final = 7 * 24
_CLOCK: Final = ("hour", "weekday")
_TTL_SECONDS: Final = 3_600
# Until the year 9999, which is the last that can be written.
_LAST_MS: Final = 253_370_764_800_000


def changes(document: Document) -> Iterator[Change]:
    """A wait for the limits to refill or for the role's hours, and a new session."""
    if not 0 <= document["now"]["epoch_ms"] <= _LAST_MS:
        return
    seconds = max((window["retry_after_seconds"] for _, window in _empty(document)), default=0)
    if seconds > 0:
        yield _wait(document, seconds * 1_000, f"wait {seconds} s")
    opening = _opening(document)
    if opening is not None:
        when = timestamp(moment((document["now"]["epoch_ms"] + opening) / 1_000))
        yield _wait(document, opening, f"call at {when} or soon after")
    yield _provision(document)


def _wait(document: Document, milliseconds: int, says: str) -> Change:
    """Also provisions again where the session lapses meanwhile."""
    then = document["now"]["epoch_ms"] + milliseconds
    expires = at(document, ("claims", "exp"))
    edits = [Edit(("now", "epoch_ms"), then), *_refilled(document, milliseconds)]
    if type(expires) in (int, float) and expires * 1_000 <= then:
        says += ", with a session provisioned then"
        edits += _renewed(document, then)
    before = document["now"]["epoch_ms"]
    cost = 1 + milliseconds / (_WEEK_HOURS * _HOUR_MS)
    return Change("wait", "now.epoch_ms", before, then, says, cost=cost, edits=tuple(edits))


def _refilled(document: Document, milliseconds: int) -> Iterator[Edit]:
    for name, window in _empty(document):
        if window["retry_after_seconds"] * 1_000 <= milliseconds:
            yield Edit(("session", "rate", name), _granted(window))


def _provision(document: Document) -> Change:
    now = document["now"]["epoch_ms"]
    is_suspended = str(document["session"]["revoked_reason"]).startswith("role suspended")
    return Change(
        "provision",
        "session",
        at(document, ("claims", "jti")) if "jti" in document["claims"] else None,
        None,
        "provision a new session",
        assumes="the role is resumed first" if is_suspended else "",
        edits=tuple(_renewed(document, now)),
    )


def _renewed(document: Document, now_ms: int) -> Iterator[Edit]:
    """What a new session of the same role has: a later end, full buckets, nothing called yet."""
    yield Edit(("claims", "iat"), now_ms // 1_000)
    yield Edit(("claims", "nbf"), now_ms // 1_000)
    yield Edit(("claims", "exp"), now_ms // 1_000 + _TTL_SECONDS)
    yield Edit(("session", "revoked"), False)
    yield Edit(("session", "revoked_reason"), None)
    for name, window in document["session"]["rate"].items():
        yield Edit(("session", "rate", name), _granted(window))
    drift = document["session"]["drift"]
    yield Edit(("session", "drift"), {**drift, "latched": False, "log_evidence": 0, "calls": 1})


def _granted(window: dict[str, Any]) -> dict[str, Any]:
    left = max(window["limit"] - 1, 0)
    return {**window, "granted": True, "remaining": left, "retry_after_seconds": 0}


def _empty(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, window in document["session"]["rate"].items():
        if not window["granted"]:
            yield name, window


def _opening(document: Document) -> int | None:
    """Milliseconds to the next hour that the role's window holds; None if this is one."""
    claims, now = document["claims"], document["now"]["epoch_ms"]
    start, end = claims.get("allowed_hours_start"), claims.get("allowed_hours_end")
    days = claims.get("allowed_days")
    if type(start) is not int or type(end) is not int or not isinstance(days, list):
        return None
    for ahead in range(_WEEK_HOURS + 1):
        then = (now // _HOUR_MS + ahead) * _HOUR_MS if ahead else now
        hour, weekday = _clock(then) if ahead else (document["now"][name] for name in _CLOCK)
        if _in_hours(start, end, hour) and (not days or weekday in days):
            return (then - now) or None
    return None


def _clock(epoch_ms: int) -> tuple[int, int]:
    when = moment(epoch_ms / 1_000)
    return when.hour, when.weekday()


def _in_hours(start: int, end: int, hour: int) -> bool:
    if start == end:
        return start == 0
    return start <= hour < end if start < end else hour >= start or hour < end
