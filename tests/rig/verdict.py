"""What the judge of a history found."""

from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.rig.history import Fault


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
    overfull: int = 0
    limited_sessions: int = 0
    late: int = 0
    late_by_fault: Counter[str] = field(default_factory=Counter)
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
