"""What token buckets may have granted at most, and whether they refused without need.

Judged from outside: of a call it is known when it was sent and when its answer was there, and that
its token was taken, or none found, at some moment between the two.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Answered(NamedTuple):
    """A call, by times of `time.monotonic()`. `granted` None: it may have taken a token or not."""

    begun: float
    ended: float
    granted: bool | None


class Limit(NamedTuple):
    """So many calls in so many seconds."""

    calls: int
    seconds: float


MINUTE, HOUR = 60.0, 3600.0


def overdrawn(answers: Sequence[Answered], limit: Limit) -> int:
    """By how many the grants exceed what a bucket gives that never holds more than its limit.

    From any one moment to any other it gives what it holds at most and what flows in meanwhile.
    Calls that were sent after the first moment and answered before the second took theirs between.
    """
    grants = [answer for answer in answers if answer.granted]
    worst = 0
    for first in {grant.begun for grant in grants}:
        within = sorted(grant.ended for grant in grants if grant.begun >= first)
        for number, last in enumerate(within, 1):
            most = int(limit.calls + limit.calls * (last - first) / limit.seconds)
            worst = max(worst, number - most)
    return worst


def refused_in_vain(answers: Sequence[Answered], limits: Sequence[Limit]) -> int:
    """How many were refused although no bucket can have been empty, all having been full at first.

    To be empty, one must have given at least its limit to calls that were sent before the refusal
    was answered.
    """
    least = min(limit.calls for limit in limits)
    taken = sorted(answer.begun for answer in answers if answer.granted is not False)
    refusals = [answer.ended for answer in answers if answer.granted is False]
    return sum(sum(begun < ended for begun in taken) < least for ended in refusals)
