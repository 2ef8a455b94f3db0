"""One process's writer of the journal, used by all its threads.

What could not be written is counted, and said in the journal before the next record that can be.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from errno import ENOSPC
from typing import Final

from scopebound_engine import baton
from scopebound_engine.log.desk import Desk, Entry, UncertainError
from scopebound_engine.log.sync import Syncer
from scopebound_engine.log.tail import Note, Tail

# Room that must be left for a change to begin: what is recorded of it is far smaller.
_ROOM_BYTES: Final = 1 << 20
_LOOK_SECONDS: Final = 0.2


@dataclass
class Gap:
    """What has been missing in the journal since it last could be written."""

    reason: str
    unrecorded: int = 0
    # Records that are in the journal although who wrote them was told that they are not.
    overruled: list[int] = field(default_factory=list)


class Writer:
    """Everything raises OSError, and TimeoutError at a deadline (monotonic)."""

    def __init__(
        self, open_tail: Callable[[Syncer], Tail], syncer: Syncer, note: Note, *, each: bool
    ) -> None:
        self.pid = os.getpid()
        self.gap: Gap | None = None
        self._open_tail, self._syncer, self._note, self._each = open_tail, syncer, note, each
        self._desk = Desk()
        self._tail: Tail | None = None
        self._is_gone = False
        self._counting = threading.Lock()
        self._looked = 0.0
        thread = threading.Thread(target=syncer.run, args=(self._look,), name="journal")
        thread.daemon = True
        thread.start()

    def append(self, record: bytes, deadline: float) -> int:
        """Write a record; its number."""
        entry = Entry(record)
        try:
            if self._desk.come(entry, deadline):
                try:
                    self._write_waiting(deadline)
                finally:
                    self._desk.leave(entry)
            if entry.problem is not None:
                raise entry.problem
            if self._each:
                with baton.lent():
                    self._syncer.wait(deadline)
        except UncertainError:
            self._syncer.wake()  # who has taken it counts it
            raise
        except OSError as error:
            written = [entry.seq] if entry.seq else []
            self._miss(Gap(str(error), int(not written), written))
            raise
        return entry.seq

    def check(self, deadline: float) -> None:
        """Find out whether a record can be written, and end a gap."""
        try:
            with self._turn(deadline):
                if self._opened().free_bytes() < _ROOM_BYTES:
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
                self._write_waiting(deadline)
        except OSError as error:
            self._miss(Gap(str(error)))
            raise

    def head(self, deadline: float) -> tuple[int, str]:
        """Number and hash of the last line, whoever wrote it."""
        with self._turn(deadline):
            tail = self._opened()
            tail.lock(deadline)
            tail.unlock()
            return tail.seq, tail.hash

    def close(self, deadline: float) -> None:
        """Bring everything to the disk and let go of the file."""
        with self._turn(deadline):
            tail, self._tail = self._tail, None
        if tail is not None:
            tail.close()
        self._syncer.end()
        self._syncer.sync()

    @contextmanager
    def _turn(self, deadline: float) -> Iterator[None]:
        entry = Entry()
        self._desk.come(entry, deadline)
        try:
            yield
        finally:
            self._desk.leave(entry)

    def _opened(self) -> Tail:
        """The end of the journal, now and then looked for; a new one where it was taken away."""
        now = time.monotonic()
        if self._tail is None:
            self._tail, self._looked = self._open_tail(self._syncer), now
        elif now >= self._looked + _LOOK_SECONDS:
            self._looked = now
            if not self._is_gone and self._tail.is_gone():
                self._is_gone = True
                self._miss(Gap("the segment was taken out of its folder"))
        if self._is_gone:
            self._tail.reopen()
            self._is_gone = False
        return self._tail

    def _write_waiting(self, deadline: float) -> None:
        """Write what has been missing, then all that waits. Raises OSError where nothing did."""
        self._syncer.check()
        tail = self._opened()
        tail.lock(deadline)
        try:
            gap = self._take_gap()
            notes = [] if gap is None else [self._note("log.resumed", vars(gap))]
            entries = self._desk.take()
            first = tail.seq + 1 + len(notes)
            written, problem = tail.append([*notes, *(entry.record for entry in entries)])
        finally:
            tail.unlock()
        # Not before: the threads that are told compete for the interpreter's lock.
        if gap is not None and not written:
            self._miss(gap)
        self._settle(entries, first, written - len(notes), problem)
        if problem is not None and not entries:
            raise problem

    def _settle(
        self, entries: Sequence[Entry], first: int, written: int, problem: OSError | None
    ) -> None:
        for number, entry in enumerate(entries):
            if number < written:
                entry.seq = first + number
            else:
                entry.problem = problem
        for entry in self._desk.settle(entries):
            overruled = [entry.seq] if entry.seq else []
            self._miss(Gap("the disk took too long", int(not overruled), overruled))

    def _take_gap(self) -> Gap | None:
        if self.gap is None:
            return None
        with self._counting:
            gap, self.gap = self.gap, None
            return gap

    def _miss(self, more: Gap) -> None:
        with self._counting:
            if self.gap is None:
                self.gap = Gap(more.reason)
            self.gap.unrecorded += more.unrecorded
            self.gap.overruled += more.overruled
        self._syncer.wake()

    def _look(self) -> bool:
        """Now and then: whether the file is still there, and whether it can be written again.

        Whether to look again soon.
        """
        now = time.monotonic()
        if now < self._looked + _LOOK_SECONDS:
            return True
        with suppress(OSError):
            with self._turn(now + _LOOK_SECONDS):
                if self._tail is not None:
                    self._opened()
            if self.gap is not None:
                self.check(now + _LOOK_SECONDS)
        return self.gap is not None
