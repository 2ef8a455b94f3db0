"""The figures of a run: what is printed, what is recorded, and whether it was passed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.results import Row
from tests.bench.tables import plain
from tests.load import latency
from tests.rig.verdict import Verdict

PART = "faults"
TITLE = "What survives"
NOTE = (
    "Processes killed, stopped, cut off, without room or with a wrong clock while bundles change, "
    "under a load whose right answers a second engine knows. Time without service is the longest "
    "stretch in which a node gave no right answer: from a kill on, or from the end of what takes "
    "the service away as long as it lasts (a database stopped, a disk full)."
)
MOST_SECONDS = 2.0
# Of n decisions without a wrong one the share of wrong ones is, at 95 %, below 3/n.
RULE_OF_THREE = 3.0


@dataclass(frozen=True)
class Outcome:
    """What came of one mode: the verdict, and what was done meanwhile.

    `hostile` is what was wrong with answers to hostile bodies and bundles. `missing`: records of
    the journals that the database's copy does not have.
    """

    mode: str
    seconds: float
    verdict: Verdict
    records: int
    changes: int
    changes_lost: int
    hostile: list[str] = field(default_factory=list)
    missing: int = 0

    def wrong(self) -> list[str]:
        """What must never be, on any machine."""
        verdict = self.verdict
        counted = {
            "wrong allows": verdict.wrong_allows,
            "decisions by a bundle not in force": verdict.stale,
            "acknowledged records lost": verdict.lost,
            "records otherwise than answered": verdict.otherwise_recorded,
            "records doubled": verdict.doubled,
            "calls over a limit": verdict.over_limit,
            "buckets that filled too fast": verdict.overfull,
            "answers with a status other than 200": verdict.wrong_statuses.total(),
            "hostile requests not refused": len(self.hostile),
            "records missing in the database": self.missing,
        }
        found = [] if verdict.decided else ["nothing was decided"]
        found += [f"{what}: {number}" for what, number in counted.items() if number]
        return [f"{self.mode}: {each}" for each in found]

    def slow(self) -> list[str]:
        """What took too long, which it may on a machine that is busy with something else."""
        verdict = self.verdict
        counted = {
            "answers later than 1 s": verdict.late,
            "calls without an answer, unexplained": verdict.unanswered_unexplained,
        }
        found = [f"{what}: {number}" for what, number in counted.items() if number]
        found += [
            f"{seconds:.2f} s without service, {fault.name}"
            for fault, seconds in verdict.without_service
            if seconds > MOST_SECONDS
        ]
        return [f"{self.mode}: {each}" for each in found]

    def figures(self) -> dict[str, float]:
        """All that was counted and measured, by what it is."""
        verdict = self.verdict
        found: dict[str, float] = {
            "seconds": self.seconds,
            "decisions": verdict.decided,
            "of them allowed": verdict.allowed,
            "wrong allows": verdict.wrong_allows,
            "decisions by a bundle not in force": verdict.stale,
            "activations": self.changes,
            "activations refused or lost": self.changes_lost,
            "records of decisions": self.records,
            "acknowledged records lost": verdict.lost,
            "records doubled": verdict.doubled,
            "records otherwise than answered": verdict.otherwise_recorded,
            "records missing in the database": self.missing,
            "denied for want of a record": verdict.unrecorded,
            "sessions with a limit": verdict.limited_sessions,
            "calls over a limit": verdict.over_limit,
            "buckets that filled too fast": verdict.overfull,
            "answers later than 1 s": verdict.late,
            "later, in a process that stood still": verdict.late_stopped,
            "latest answer, s": verdict.latest,
            "calls without an answer": verdict.unanswered,
            "without an answer, unexplained": verdict.unanswered_unexplained,
            "statuses other than 200": verdict.wrong_statuses.total(),
            "hostile requests not refused": len(self.hostile),
        }
        for code, number in sorted(verdict.wrong_denials.items()):
            found[f"wrongly denied, {code}"] = number
            found[f"wrongly denied, {code}, unexplained"] = verdict.unexplained_denials[code]
        for name, times in (("calm", verdict.calm), ("faults", verdict.faulty)):
            if times:
                measured = latency(times)
                found[f"p50 in {name}, ms"] = measured.p50 * 1000
                found[f"p99 in {name}, ms"] = measured.p99 * 1000
        for name, number in sorted(verdict.late_by_fault.items()):
            found[f"later than 1 s: {name}"] = number
        return found | self._without_service()

    def _without_service(self) -> dict[str, float]:
        """Of each kind of fault how often it came, and the longest time without service."""
        found: dict[str, list[float]] = defaultdict(list)
        for fault, seconds in self.verdict.without_service:
            found[fault.name].append(seconds)
        figures: dict[str, float] = {}
        for name, each in sorted(found.items()):
            figures[f"times: {name}"] = len(each)
            figures[f"without service, s: {name}"] = max(each)
        return figures


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """A row for each figure, with a column for each mode."""
    by_mode = {outcome.mode: outcome.figures() for outcome in outcomes}
    names = dict.fromkeys(name for figures in by_mode.values() for name in figures)
    return [
        {"name": name, **{mode: figures.get(name, 0) for mode, figures in by_mode.items()}}
        for name in names
    ]


def lines(outcomes: Sequence[Outcome], seed: int) -> list[str]:
    """Examples of what went wrong, and the figures; what counts stands last."""
    found = [
        f"{outcome.mode}: {what}: {example}"
        for outcome in outcomes
        for what, examples in (outcome.verdict.examples | {"hostile": outcome.hostile}).items()
        for example in examples
    ]
    found.append(plain(PART, rows(outcomes)))
    failures = [each for outcome in outcomes for each in (*outcome.wrong(), *outcome.slow())]
    found += [f"FAILED {failure}" for failure in failures]
    decided = sum(outcome.verdict.decided for outcome in outcomes)
    allows = sum(outcome.verdict.wrong_allows for outcome in outcomes)
    share = f", below {bound(decided):.2g} of all at 95 %" if decided and not allows else ""
    end = f"{len(failures)} failures" if failures else "passed"
    found.append(f"seed {seed}: {decided:,} decisions, {allows} wrong allows{share}; {end}")
    return found


def bound(decisions: int) -> float:
    """What the share of wrong decisions is below, at 95 %, where none of so many was wrong."""
    return RULE_OF_THREE / decisions
