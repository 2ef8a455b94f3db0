"""The figures of a run: what is printed, what is written, and whether it was passed."""

import json
import os
import platform
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.load import latency
from tests.rig.checker import Verdict

MOST_SECONDS = 2.0
# Of n decisions without a wrong one, the share of wrong ones is below 3/n with 95 % confidence.
_RULE_OF_THREE = 3.0


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

    def failures(self) -> list[str]:
        """Why this run was not passed."""
        found, verdict = [], self.verdict
        counted = {
            "wrong allows": verdict.wrong_allows,
            "decisions by a bundle not in force": verdict.stale,
            "acknowledged records lost": verdict.lost,
            "records otherwise than answered": verdict.otherwise_recorded,
            "records doubled": verdict.doubled,
            "calls over a limit": verdict.over_limit,
            "answers later than 1 s": verdict.late,
            "answers with a status other than 200": verdict.wrong_statuses.total(),
            "calls without an answer, unexplained": verdict.unanswered_unexplained,
            "hostile requests not refused": len(self.hostile),
            "records missing in the database": self.missing,
        }
        if not verdict.decided:
            found.append(f"{self.mode}: nothing was decided")
        found += [f"{self.mode}: {what}: {number}" for what, number in counted.items() if number]
        found += [
            f"{self.mode}: {seconds:.2f} s without service, {fault.name}"
            for fault, seconds in verdict.without_service
            if seconds > MOST_SECONDS
        ]
        return found

    def figures(self) -> dict[str, Any]:
        """All of it as JSON."""
        verdict = self.verdict
        return {
            "mode": self.mode,
            "seconds": round(self.seconds, 1),
            "decisions": verdict.decided,
            "allowed": verdict.allowed,
            "wrong_allows": verdict.wrong_allows,
            "wrong_allows_below": bound(verdict.decided),
            "wrong_denials": dict(verdict.wrong_denials),
            "wrong_denials_unexplained": dict(verdict.unexplained_denials),
            "unanswered": verdict.unanswered,
            "unanswered_unexplained": verdict.unanswered_unexplained,
            "other_statuses": {str(key): n for key, n in verdict.wrong_statuses.items()},
            "records": self.records,
            "records_lost": verdict.lost,
            "records_doubled": verdict.doubled,
            "records_otherwise": verdict.otherwise_recorded,
            "records_missing_in_database": self.missing,
            "unrecorded_denials": verdict.unrecorded,
            "bundle_not_in_force": verdict.stale,
            "activations": self.changes,
            "activations_refused_or_lost": self.changes_lost,
            "limited_sessions": verdict.limited_sessions,
            "over_limit": verdict.over_limit,
            "late": verdict.late,
            "late_in_stopped_processes": verdict.late_stopped,
            "latest_seconds": round(verdict.latest, 3),
            "hostile_not_refused": self.hostile,
            "latency_ms": {
                name: {key: round(s * 1000, 2) for key, s in latency(times)._asdict().items()}
                for name, times in (("calm", verdict.calm), ("faults", verdict.faulty))
                if times
            },
            "without_service_seconds": _by_fault(verdict),
        }


def _by_fault(verdict: Verdict) -> dict[str, dict[str, float]]:
    """Of each kind of fault how often it came, and the longest and mean time without service."""
    found: dict[str, list[float]] = defaultdict(list)
    for fault, seconds in verdict.without_service:
        found[fault.name].append(seconds)
    return {
        name: {
            "times": len(each),
            "longest": round(max(each), 3),
            "mean": round(sum(each) / len(each), 3),
        }
        for name, each in sorted(found.items())
    }


def bound(decisions: int) -> float | None:
    """What the share of wrong decisions is below at 95 %, where none of so many was wrong."""
    return _RULE_OF_THREE / decisions if decisions else None


def write(file: Path, outcomes: list[Outcome], settings: Mapping[str, Any]) -> None:
    """Write the figures as JSON, with where and when they come from."""
    load = os.getloadavg()[0]
    document = {
        "part": "faults",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "load_after": round(load, 2),
        },
        "seed": settings["seed"],
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
        "settings": dict(settings),
        "rows": [outcome.figures() for outcome in outcomes],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n")


def lines(outcomes: list[Outcome], seed: int) -> list[str]:
    """The figures for people; what counts stands last."""
    found: list[str] = []
    for outcome in outcomes:
        figures = outcome.figures()
        for what, examples in outcome.verdict.examples.items():
            found += [f"{outcome.mode}: {what}: {example}" for example in examples]
        found += [f"{outcome.mode}: hostile, not refused: {each}" for each in outcome.hostile]
        found.append(f"\n{outcome.mode}, without service (longest stretch without a right answer):")
        for name, each in figures.pop("without_service_seconds").items():
            found.append(
                f"  {name:26} {each['times']:3.0f} times, "
                f"longest {each['longest']:.2f} s, mean {each['mean']:.2f} s"
            )
        found.append(f"{outcome.mode}:")
        found += [f"  {name:30} {value}" for name, value in figures.items()]
    failures = [failure for outcome in outcomes for failure in outcome.failures()]
    decided = sum(outcome.verdict.decided for outcome in outcomes)
    wrong = sum(outcome.verdict.wrong_allows for outcome in outcomes)
    found += [f"FAILED {failure}" for failure in failures]
    share = f" (below {bound(decided):.2g} of all at 95 %)" if decided and not wrong else ""
    found.append(
        f"seed {seed}: {decided} decisions, {wrong} wrong allows{share}, "
        + ("passed" if not failures else f"{len(failures)} failures")
    )
    return found
