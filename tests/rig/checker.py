"""The judge of a history: what was answered wrongly, lost, doubled, late or not at all.

What must be so, of each answer between its call's sending and its arrival:

- an allow is right where the oracle allows under a bundle that was in force at some moment of that
  time, and under the one it names;
- a denial is right with the code that the oracle finds under such a bundle, or for a limit where
  the session has one;
- the bundle it names was in force at some moment of that time. There is no other tolerance;
- it stands in the decision log once, with the same outcome, and its call does not stand there
  twice.
"""

import bisect
import itertools
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.accounting import Answered, Limit, overdrawn
from tests.rig.history import ALLOW, EVERYWHERE, UNDECIDED, Answer, Change, Fault
from tests.rig.records import Records

LATE_SECONDS = 1.0
# So long after its end a fault may explain a denial or a late answer.
AFTERMATH_SECONDS = 2.0
REFUSED = "RATE_LIMIT_EXCEEDED"


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of call. `limit` is that of its sessions.

    `expected` is what must be answered, by flavor. `judged`: the policy is asked.
    """

    expected: Mapping[str, str]
    limit: Limit | None = None
    judged: bool = True


class Reign:
    """When which bundle was in force, as far as can be known from outside."""

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


@dataclass
class Verdict:
    """What the judge found, counted; `examples` are some of what must not be."""

    answers: int = 0
    decided: int = 0
    allowed: int = 0
    unanswered: int = 0
    unanswered_unexplained: int = 0
    wrong_statuses: Counter[int] = field(default_factory=Counter)
    wrong_allows: int = 0
    wrong_denials: Counter[str] = field(default_factory=Counter)
    unexplained_denials: Counter[str] = field(default_factory=Counter)
    stale: int = 0
    unrecorded: int = 0
    lost: int = 0
    doubled: int = 0
    otherwise_recorded: int = 0
    over_limit: int = 0
    limited_sessions: int = 0
    late: int = 0
    late_stopped: int = 0
    latest: float = 0.0
    calm: "array[float]" = field(default_factory=lambda: array("d"))
    faulty: "array[float]" = field(default_factory=lambda: array("d"))
    without_service: list[tuple[Fault, float]] = field(default_factory=list)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def blame(self, what: str, answer: object) -> None:
        """Keep an example of what must not be."""
        if len(self.examples[what]) < 5:
            self.examples[what].append(repr(answer))


class Judge:
    """Takes a history answer by answer."""

    def __init__(
        self, kinds: Sequence[Kind], reign: Reign, faults: Sequence[Fault], records: Records
    ) -> None:
        self._kinds, self._reign, self._records = kinds, reign, records
        self._faults = sorted(faults, key=lambda fault: fault.begun)
        self._begun = [fault.begun for fault in self._faults]
        self._served: dict[int, array[float]] = defaultdict(lambda: array("d"))
        self._grants: dict[str, list[Answered]] = defaultdict(list)
        self._limits: dict[str, Limit] = {}
        self.verdict = Verdict()

    def take(self, answer: Answer) -> None:
        """Judge one answer."""
        found = self.verdict
        found.answers += 1
        around = self._around(answer)
        if not answer.status:
            found.unanswered += 1
            if not around:
                found.unanswered_unexplained += 1
                found.blame("unanswered", answer)
            return
        if answer.status != 200:
            found.wrong_statuses[answer.status] += 1
            found.blame("status", answer)
            return
        found.decided += 1
        is_right = self._outcome(answer, bool(around))
        self._time(answer, around)
        self._recorded(answer)
        if is_right and self._kinds[answer.kind].judged:
            self._served[answer.node].append(answer.ended)

    def finish(self, over: float) -> Verdict:
        """What is known when all answers were taken; the load ended at `over`."""
        found = self.verdict
        found.doubled += self._records.doubled()
        found.limited_sessions = len(self._limits)
        for session, limit in self._limits.items():
            if more := overdrawn(self._grants[session], limit):
                found.over_limit += more
                found.blame("limit", f"session {session}: {more} more than {limit} gives")
        served = {node: sorted(times) for node, times in self._served.items()}
        for place, fault in enumerate(self._faults):
            after = [other.begun for other in self._faults[place + 1 :]]
            until = max(fault.counted_from, min([*after, over]))
            nodes = served if fault.node == EVERYWHERE else {fault.node: served.get(fault.node, [])}
            gaps = [longest_gap(times, fault.counted_from, until) for times in nodes.values()]
            found.without_service.append((fault, max(gaps, default=until - fault.counted_from)))
        return found

    def _around(self, answer: Answer) -> list[Fault]:
        """The faults that may have had to do with an answer. They come one after the other."""
        found = []
        for fault in reversed(self._faults[: bisect.bisect_right(self._begun, answer.ended)]):
            if fault.ended + AFTERMATH_SECONDS < answer.begun:
                break
            if fault.node in {EVERYWHERE, answer.node}:
                found.append(fault)
        return found

    def _outcome(self, answer: Answer, is_explained: bool) -> bool:
        """Whether the outcome is right; what is not is counted."""
        kind, found = self._kinds[answer.kind], self.verdict
        possible = self._reign.between(answer.begun, answer.ended)
        wanted = {kind.expected[change.flavor] for change in possible}
        named = self._reign.named(answer) if answer.generation else None
        if answer.generation and named not in possible:
            found.stale += 1
            found.blame("stale", answer)
        if named is not None:
            wanted &= {kind.expected[named.flavor]}
        found.allowed += answer.said == ALLOW
        if answer.said == ALLOW and kind.limit and not answer.is_replay:
            self._limits[answer.session] = kind.limit
            self._grants[answer.session].append(Answered(answer.begun, answer.ended, True))
        if answer.said in wanted or (answer.said == REFUSED and kind.limit):
            return True
        if answer.said == ALLOW:
            found.wrong_allows += 1
            found.blame("wrong allow", answer)
            return False
        found.wrong_denials[answer.said] += 1
        if not is_explained:
            found.unexplained_denials[answer.said] += 1
            found.blame("unexplained denial", answer)
        return False

    def _time(self, answer: Answer, around: Sequence[Fault]) -> None:
        found, seconds = self.verdict, answer.ended - answer.begun
        (found.faulty if around else found.calm).append(seconds)
        if seconds <= LATE_SECONDS:
            return
        if any(fault.stopped for fault in around):
            found.late_stopped += 1
            return
        found.late += 1
        found.latest = max(found.latest, seconds)
        found.blame("late", answer)

    def _recorded(self, answer: Answer) -> None:
        """Compare an answer with its record. What was denied for want of a record has none."""
        found = self.verdict
        if not answer.id:
            found.unrecorded += 1
            if answer.said != UNDECIDED:
                found.lost += 1
                found.blame("lost", answer)
            return
        said = self._records.outcome(answer.id)
        if said is None:
            found.lost += 1
            found.blame("lost", answer)
        elif said != (answer.said, answer.generation):
            found.otherwise_recorded += 1
            found.blame("recorded otherwise", (said, answer))


def longest_gap(times: Sequence[float], begun: float, until: float) -> float:
    """The longest stretch between two moments, and two times in order, without a time."""
    first, last = bisect.bisect_left(times, begun), bisect.bisect_right(times, until)
    marks = [begun, *times[first:last], until]
    return max(after - before for before, after in itertools.pairwise(marks))


def first_seen(answers: Iterable[Answer]) -> dict[int, float]:
    """When each generation was first named in an answer."""
    found: dict[int, float] = {}
    for answer in answers:
        if answer.generation:
            seen = found.get(answer.generation, answer.ended)
            found[answer.generation] = min(seen, answer.ended)
    return found


def judged(
    history: Callable[[], Iterable[Answer]],
    kinds: Sequence[Kind],
    changes: Sequence[Change],
    faults: Sequence[Fault],
    records: Records,
    over: float,
) -> Verdict:
    """The verdict on a history, which is gone through twice; the load ended at `over`."""
    judge = Judge(kinds, Reign(changes, first_seen(history())), faults, records)
    for answer in history():
        judge.take(answer)
    return judge.finish(over)
