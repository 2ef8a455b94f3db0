"""Any stretch of time as whole hours, whole minutes and what is left of minutes.

Calls are counted by hour and by minute while records are stored, so that of a week only parts of
two minutes are looked at call by call.
"""

from dataclasses import dataclass
from typing import Literal

from scopebound_engine.database.log_tables import HOUR_US, MINUTE_US


@dataclass(frozen=True, slots=True)
class Span:
    """From `from_us` until before `to_us`: a row of `call_counts` for each `step_us` of it.

    Where `step_us` is 0 its calls are to be counted themselves.
    """

    from_us: int
    to_us: int
    step_us: Literal[0, 60_000_000, 3_600_000_000]


def tiles(from_us: int, to_us: int) -> list[Span]:
    """The spans, in order and without a gap, at most five: part of a minute, minutes, hours,
    minutes, part of a minute."""
    minutes = _whole(from_us, to_us, MINUTE_US)
    hours = _whole(*minutes, HOUR_US)
    spans = (
        Span(from_us, minutes[0], 0),
        Span(minutes[0], hours[0], MINUTE_US),
        Span(*hours, HOUR_US),
        Span(hours[1], minutes[1], MINUTE_US),
        Span(minutes[1], to_us, 0),
    )
    return [span for span in spans if span.from_us < span.to_us]


def _whole(from_us: int, to_us: int, step_us: int) -> tuple[int, int]:
    """The whole steps between; where there is none, the end, twice."""
    first = -(-from_us // step_us) * step_us
    last = to_us // step_us * step_us
    return (first, last) if first < last else (to_us, to_us)
