"""Whether sessions were granted more than their buckets give, or these filled too fast."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from tests.accounting import Answered, Limit, overdrawn
from tests.rig.history import ALLOW, Answer
from tests.rig.verdict import Verdict


class Left(NamedTuple):
    """What a call left of a bucket, in whole tokens."""

    begun: float
    ended: float
    remaining: int


class Limits:
    """What was granted to each session that has a limit, and what was left."""

    def __init__(self) -> None:
        self._limits: dict[str, Limit] = {}
        self._grants: dict[str, list[Answered]] = defaultdict(list)
        self._left: dict[str, list[Left]] = defaultdict(list)

    def take(self, answer: Answer, limit: Limit) -> None:
        """Keep what an answer says. One to a call that came again took nothing."""
        if answer.is_replay:
            return
        self._limits[answer.session] = limit
        if answer.said == ALLOW:
            self._grants[answer.session].append(Answered(answer.begun, answer.ended, True))
        if answer.remaining >= 0:
            self._left[answer.session].append(Left(answer.begun, answer.ended, answer.remaining))

    def judge(self, found: Verdict) -> None:
        """Count what no bucket can have given."""
        found.limited_sessions = len(self._limits)
        for session, limit in self._limits.items():
            if more := overdrawn(self._grants[session], limit):
                found.over_limit += more
                found.blame("limit", f"session {session}: {more} more than {limit} gives")
            if risen := overfull(self._left[session], limit):
                found.overfull += len(risen)
                found.blame("overfull", f"session {session}, {limit}: {risen[:3]}")


def overfull(answers: Sequence[Left], limit: Limit) -> list[tuple[Left, Left]]:
    """Pairs of answers, the second of a call sent after the first was there, that left too much.

    What is left is told in whole tokens, so the first may have left almost one more; the second
    call took one, or there was none.
    """
    found, before = list[tuple[Left, Left]](), list[Left]()
    waiting = sorted(answers, key=lambda each: each.ended)
    for second in sorted(answers):
        while waiting[len(before)].ended < second.begun:
            before.append(waiting[len(before)])
        if before:
            first = before[-1]
            inflow = limit.calls * (second.ended - first.begun) / limit.seconds
            if second.remaining > min(first.remaining + inflow, limit.calls - 1):
                found.append((first, second))
    return found
