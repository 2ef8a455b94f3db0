"""Verifies the journal while the node serves: what is new soon, and now and then all of it again.

Each run takes a bounded time and goes on where the last one ended, also after a restart.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from scopebound_engine.errors import JournalError
from scopebound_engine.log import checkpoints, segments
from scopebound_engine.log.chain import GENESIS
from scopebound_engine.log.flaws import Flaw
from scopebound_engine.log.notes import VerifierKey
from scopebound_engine.log.seals import SealFile
from scopebound_engine.log.segments import Position
from scopebound_engine.log.status import VERIFICATION, Status
from scopebound_engine.log.walk import Walk

# Of every few seconds; see the job's pace.
RUN_SECONDS: Final = 0.25
ROUND_SECONDS: Final = 3_600.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reached:
    """Up to where the journal is sound: the last record's segment, end there, number, hash.

    Before the first record, and where the records before it are gone, `hash` is empty.
    """

    segment: int = 0
    offset: int = 0
    seq: int = 0
    hash: str = ""


class Rounds:
    """Goes through one node's journal. One thread at a time may run it."""

    def __init__(
        self,
        folder: Path,
        node: str,
        keys: Callable[[], Sequence[VerifierKey]],
        clock: Callable[[], float] = time.time,
        *,
        run_seconds: float = RUN_SECONDS,
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        self._folder, self._node, self._keys, self._clock = folder, node, keys, clock
        self._run_seconds, self._round_seconds = run_seconds, round_seconds
        self._status = Status(folder, VERIFICATION)
        known = self._status.read()
        self._verified_at: float | None = known.get("last_chain_verified_at")
        self._recent = _reached(known.get("recent"))
        self._round = _reached(known.get("round"))
        self._round_at = float(known.get("round_at", clock()))
        self._flaws: dict[str, Flaw | None] = {"recent": None, "round": None}

    def run(self) -> None:
        """Verify what is new, and with the time that is left a part of what is not.

        Raises JournalError when the journal cannot be read.
        """
        by = time.monotonic() + self._run_seconds
        try:
            began = self._clock()
            self._recent, at_end = self._go_on("recent", self._recent, by)
            if at_end and self._flaws["recent"] is None:
                self._verified_at = began
                self._go_round(by)
            self._say()
        except OSError as error:
            raise JournalError(
                f"the log in {self._folder} cannot be verified: {error.strerror or error}"
            ) from error

    def _go_round(self, by: float) -> None:
        if self._round == Reached() and self._clock() < self._round_at + self._round_seconds:
            return
        self._round, at_end = self._go_on("round", self._round, by)
        if at_end and self._flaws["round"] is None:
            self._round, self._round_at = Reached(), self._clock()

    def _go_on(self, what: str, reached: Reached, by: float) -> tuple[Reached, bool]:
        """Up to where the journal is sound now, and whether that is its end or a flaw."""
        firsts = segments.listing(self._folder)
        if reached.segment not in firsts:
            # At the beginning, or retention removed what had been reached.
            reached = Reached(segment=firsts[0] if firsts else 1)
        seals = SealFile(self._folder / checkpoints.FILE, self._keys(), behind=reached.seq)
        if reached.hash:
            after: tuple[int, str] | None = (reached.seq, reached.hash)
        else:
            after = (0, GENESIS) if reached.segment == 1 else None
        walk = Walk(self._node, seals.of(self._node), after=after, due=reached.segment)
        new, at_end = self._read(walk, reached, by)
        flaw = (walk.flaw() if at_end or walk.broken else None) or seals.flaw
        if flaw is not None and flaw != self._flaws[what]:
            log.error("the decision log is not sound", reason=str(flaw), kind=flaw.kind)
        self._flaws[what] = flaw
        return (new, at_end) if flaw is None else (reached, True)

    def _read(self, walk: Walk, reached: Reached, by: float) -> tuple[Reached, bool]:
        """Have the walk take lines: up to where it is sound, and whether there are no more."""
        number = reached.seq or reached.segment - 1
        start = Position(reached.segment, reached.offset, number + 1)
        for data, behind in segments.lines(self._folder, start):
            walk.take(data, str(segments.path(self._folder, behind.segment)), 0)
            if not walk.broken:
                reached = Reached(behind.segment, behind.offset, walk.last, walk.hash)
            if walk.settled or time.monotonic() > by:
                return reached, False
        return reached, True

    def _say(self) -> None:
        flaw = self._flaws["recent"] or self._flaws["round"]
        found: dict[str, Any] = {
            "last_chain_verified_at": self._verified_at,
            "problem": f"the decision log is not sound: {flaw}" if flaw else "",
            "recent": asdict(self._recent),
            "round": asdict(self._round),
            "round_at": self._round_at,
        }
        self._status.write(found)


def _reached(found: Any) -> Reached:
    try:
        return Reached(**found)
    except TypeError:
        return Reached()
