"""Sessions of which a test says what is found, and which note what is done to them."""

from collections.abc import Callable
from dataclasses import replace

from scopebound_engine.errors import NotFoundError
from scopebound_engine.session.drift.evidence import Baseline
from scopebound_engine.session.state.seam import UNLIMITED, Entry, SessionFacts


class State:
    """Session state in which a call finds `found`. What follows fails with `fault`, if any."""

    def __init__(self, found: SessionFacts | None = None) -> None:
        self.found = found or SessionFacts(UNLIMITED, UNLIMITED, generation=7)
        self.entries = list[Entry]()
        self.uncounted = list[tuple[str, int]]()
        self.fault: Exception | None = None
        self.before: Callable[[], object] = lambda: None
        self.asked = 0

    def enter(self, entry: Entry) -> SessionFacts:
        self.entries.append(entry)
        return replace(self.found, counts=self.found.counts or (0,) * entry.slots)

    def uncount(self, session_id: str, slot: int) -> None:
        self.asked += 1
        self.before()
        if self.fault:
            raise self.fault
        self.uncounted.append((session_id, slot))

    def close(self) -> None:
        """Nothing to let go of."""


class Latches:
    """Notes which sessions were latched, or fails with `fault`."""

    def __init__(self) -> None:
        self.latched = list[str]()
        self.fault: Exception | None = None
        self.before: Callable[[], object] = lambda: None

    def latch(self, session_id: str) -> None:
        self.before()
        if self.fault:
            raise self.fault
        self.latched.append(session_id)


class Baselines:
    """Those that a test gave it, by id."""

    def __init__(self, **known: Baseline) -> None:
        self._known = {int(name.removeprefix("b")): baseline for name, baseline in known.items()}

    def get(self, baseline_id: int) -> Baseline:
        if baseline_id not in self._known:
            raise NotFoundError(f"the baseline {baseline_id} is gone from the database")
        return self._known[baseline_id]
