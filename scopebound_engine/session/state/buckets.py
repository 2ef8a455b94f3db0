"""Token buckets: what a call finds in one, and what time brings back.

A session has a bucket per minute and one per hour, and one for each MCP server that its role
limits, each as large as its limit and refilled continuously. A call takes a token from all that
concern it, or from none if any is empty. Tokens are counted in whole *units*, so that the
arithmetic is exact: one token is as many units as its window has microseconds, and a limit of n
refills n units in each microsecond.
"""

from dataclasses import dataclass
from typing import Final

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 3_600_000_000
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """One bucket as a call found it. `granted`: it had a token, or has no limit (limit 0).

    `remaining` is what is left after this call, in whole tokens; `retry_after_seconds` is when
    there is a token again, at least 1, or 0 where one was granted.
    """

    limit: int
    granted: bool
    remaining: int
    retry_after_seconds: int


UNLIMITED: Final = Window(limit=0, granted=True, remaining=0, retry_after_seconds=0)


def refilled(units: int, limit: int, passed_us: int, window_us: int) -> int:
    """The units of a bucket after some time. A clock that went backwards refills nothing."""
    passed_us = min(max(passed_us, 0), window_us)
    return min(units + limit * passed_us, limit * window_us)


def window(limit: int, units: int, window_us: int) -> Window:
    """A bucket of a limit per window that holds so many units, before a call takes any."""
    if limit == 0:
        return UNLIMITED
    if units >= window_us:
        return Window(limit, True, units // window_us, 0)
    wait_us = -(-(window_us - units) // limit)
    return Window(limit, False, 0, -(-wait_us // _SECOND_US))


def less_one(found: Window) -> Window:
    """What a call leaves that took a token."""
    return Window(found.limit, True, found.remaining - 1, 0) if found.limit else found
