"""What is counted of a node's work, for /metrics. The names of the counters are made here.

A name is a metric and its labels, separated by tabs. prometheus-client's own counters are not used
for them: a decision's would take 11 µs (here: 3), and their files can kill a worker where the disk
is full.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from scopebound_engine.decision.pdp import Stages
from scopebound_engine.tally import Tally

# Seconds. The published client gives up after two.
BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
# Of the numbers of a duration: as many fell below each bound and into what is above, and their sum.
SUM: Final = len(BOUNDS) + 1
STAGES: Final = ("token", "state", "facts", "policy", "journal")
DECISIONS: Final = "decisions"
TOTAL: Final = "seconds"
STAGE: Final = "stage"
UNRECORDED: Final = "unrecorded"
LATE: Final = "late"
REPLACED: Final = "replaced"
# Instead of deny codes that came when there was no room for more.
OTHER: Final = "OTHER"
_EVENTS: Final = tuple(
    f"{subject}.{verdict}"
    for subject in ("tool_call", "mcp_tool_call", "delegation")
    for verdict in ("allow", "deny", "replay")
)


class Meter:
    """Counts in this process. Safe for use by many threads, and never raises."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._total, self._unrecorded = self._reserved(TOTAL), self._reserved(UNRECORDED)
        self._late, self._replaced = self._reserved(LATE), self._reserved(REPLACED)
        self._stages = tuple(self._reserved(STAGE, stage) for stage in STAGES)
        self._others: Mapping[str, int] = {
            event: self._reserved(DECISIONS, event, OTHER) for event in _EVENTS
        }
        self._decisions: dict[tuple[str, str], int] = {}

    def decision(
        self, event: str, deny_code: str, stages: Stages, journal: float, total: float
    ) -> None:
        """A decision that was recorded, `total` seconds after its request arrived.

        `deny_code` is empty for an allow. Stages that the call did not come to took no time.
        """
        place = self._decisions.get((event, deny_code)) or self._place(event, deny_code)
        changes = [
            (place, 1),
            (self._total + bisect_left(BOUNDS, total), 1),
            (self._total + SUM, int(total * 1e6)),
        ]
        taken = (stages.token, stages.state, stages.facts, stages.policy, journal)
        for start, seconds in zip(self._stages, taken, strict=True):
            if seconds:
                changes.append((start + bisect_left(BOUNDS, seconds), 1))
                changes.append((start + SUM, int(seconds * 1e6)))
        self.tally.add(changes)

    def unrecorded(self) -> None:
        """A decision that became a denial because it could not be recorded."""
        self.tally.add([(self._unrecorded, 1)])

    def late(self) -> None:
        """An answer that its caller did not get in time."""
        self.tally.add([(self._late, 1)])

    def replaced(self) -> None:
        """An evaluator that took the place of one that was lost."""
        self.tally.add([(self._replaced, 1)])

    def _place(self, event: str, deny_code: str) -> int:
        place = self.tally.place("\t".join((DECISIONS, event, deny_code)))
        if place is None:
            return self._others[event]
        self._decisions[event, deny_code] = place
        return place

    def _reserved(self, *name: str) -> int:
        place = self.tally.place("\t".join(name))
        if place is None:
            raise AssertionError("the tally has room for all that is always counted")
        return place
