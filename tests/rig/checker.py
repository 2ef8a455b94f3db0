"""The judge of a history: what was answered wrongly, lost, doubled, late or not at all.

What must be so, of each answer between its call's sending and its arrival:

- an allow is right where the oracle allows under a bundle that was in force at some moment of that
  time, and under the one it names;
- a denial is right with the code that the oracle finds under such a bundle, or for a limit where
  the session has one;
- the bundle it names was in force at some moment of that time. There is no other tolerance;
- what is left of its session's limit is no more than an earlier answer left, and what flowed in;
- it stands in the decision log once, with the same outcome, and its call does not stand there
  twice.
"""

import bisect
import itertools
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.accounting import Limit
from tests.rig.history import ALLOW, EVERYWHERE, UNDECIDED, Answer, Change, Fault
from tests.rig.limits import Limits
from tests.rig.records import Records
from tests.rig.reign import Reign, first_seen
from tests.rig.verdict import Verdict

LATE_SECONDS = 1.0
# So long after its end a fault may explain a denial or a late answer.
AFTERMATH_SECONDS = 2.0
CALM = "calm"
REFUSED = "RATE_LIMIT_EXCEEDED"


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of call. `limit` is that of its sessions.

    `expected` is what must be answered, by flavor. `judged`: the policy is asked.
    """

    expected: Mapping[str, str]
    limit: Limit | None = None
    judged: bool = True


class Judge:
    """Takes a history answer by answer."""

    def __init__(
        self, kinds: Sequence[Kind], reign: Reign, faults: Sequence[Fault], records: Records
    ) -> None:
        self._kinds, self._reign, self._records = kinds, reign, records
        self._faults = sorted(faults, key=lambda fault: fault.begun)
        self._begun = [fault.begun for fault in self._faults]
        self._served: dict[int, array[float]] = defaultdict(lambda: array("d"))
        self._limits = Limits()
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
        self._limits.judge(found)
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
        if kind.limit:
            self._limits.take(answer, kind.limit)
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
        if any(fault.stopped and answer.begun <= fault.ended for fault in around):
            found.late_stopped += 1
            return
        found.late += 1
        found.late_by_fault[around[0].name if around else CALM] += 1
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
