"""When which bundle was in force, as far as can be known from outside."""

import bisect
import itertools
from collections.abc import Iterable, Mapping, Sequence

from tests.rig.history import Answer, Change


class Reign:
    """The bundles of a run, each with the moments between which it came to be in force."""

    def __init__(self, changes: Sequence[Change], first_seen: Mapping[int, float]) -> None:
        """`first_seen` is when an answer first named a generation, which was in force by then.

        One that was named before anybody asked for it proves nothing.
        """
        self._changes = sorted(changes)
        self._by_generation = {change.generation: change for change in self._changes}
        seen = [first_seen.get(change.generation, 0.0) for change in self._changes]
        known = [
            min(change.ended, at) if at >= change.begun and at else change.ended
            for change, at in zip(self._changes, seen, strict=True)
        ]
        # A later one is known to be in force: so was each before it, earlier.
        for place in reversed(range(len(known) - 1)):
            known[place] = min(known[place], known[place + 1])
        begun = itertools.accumulate((change.begun for change in self._changes), max)
        self._known, self._begun = known, list(begun)

    def between(self, begun: float, ended: float) -> list[Change]:
        """All that may have been in force at some moment between the two."""
        oldest = max(bisect.bisect_right(self._known, begun) - 1, 0)
        newest = bisect.bisect_right(self._begun, ended)
        return self._changes[oldest:newest]

    def named(self, answer: Answer) -> Change | None:
        """The bundle that an answer names, if there is such a one."""
        change = self._by_generation.get(answer.generation)
        return change if change and change.checksum == answer.checksum else None


def first_seen(answers: Iterable[Answer]) -> dict[int, float]:
    """When each generation was first named in an answer."""
    found: dict[int, float] = {}
    for answer in answers:
        if answer.generation:
            seen = found.get(answer.generation, answer.ended)
            found[answer.generation] = min(seen, answer.ended)
    return found
