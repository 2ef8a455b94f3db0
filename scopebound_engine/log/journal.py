"""The journal: what is appended is in a file, in the chain, before `append` returns.

Many processes of a node, and many threads of each, append to the same file. The threads of a
process queue their records; whoever gets its turn writes all that wait, in one call.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from scopebound_engine.errors import JournalError, LineError
from scopebound_engine.log.tail import Tail

MAX_RECORD_BYTES: Final = 8 << 20
_PATIENCE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of the journal; 0 and GENESIS where there is none."""

    seq: int
    hash: str


class _Entry:
    __slots__ = ("problem", "record", "seq")

    def __init__(self, record: bytes) -> None:
        self.record = record
        self.seq = 0
        self.problem: Exception | None = None


class Journal:
    """The journal of one node; opened by each process on its first use."""

    def __init__(
        self,
        folder: Path,
        node: str,
        *,
        sync: Literal["timer", "each"] = "timer",
        sync_seconds: float = 0.2,
        segment_bytes: int = 64 << 20,
    ) -> None:
        self._folder, self._node, self._segment_bytes = folder, node, segment_bytes
        self._sync, self._sync_seconds = sync, sync_seconds
        self._turn = threading.Lock()
        self._waiting: deque[_Entry] = deque()
        self._tail: Tail | None = None

    def append(self, record: bytes, deadline: float | None = None) -> int:
        """Write a record, one canonical JSON object; its number in the journal.

        `deadline` is a time of `time.monotonic()`. Raises JournalError, and then the record is
        not in the journal.
        """
        by = time.monotonic() + _PATIENCE_SECONDS if deadline is None else deadline
        entry = _Entry(record)
        self._waiting.append(entry)
        with self._turn:
            if not entry.seq and entry.problem is None:
                self._write_waiting(by)
        if entry.problem is not None:
            raise JournalError(
                f"the decision log in {self._folder} cannot be written: {entry.problem}"
            ) from entry.problem
        return entry.seq

    def head(self) -> Head:
        """The last line, whoever wrote it. Raises JournalError."""
        with self._turn:
            try:
                tail = self._opened()
                tail.lock(time.monotonic() + _PATIENCE_SECONDS)
                tail.unlock()
            except (OSError, LineError) as error:
                raise JournalError(
                    f"the decision log in {self._folder} cannot be read: {error}"
                ) from error
            return Head(tail.seq, tail.hash)

    def close(self) -> None:
        """Let go of the file; the next append opens it again."""
        with self._turn:
            tail, self._tail = self._tail, None
            if tail is not None:
                tail.close()

    def _opened(self) -> Tail:
        if self._tail is None:
            self._tail = Tail(self._folder, self._node, self._segment_bytes)
        return self._tail

    def _write_waiting(self, by: float) -> None:
        entries = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            tail = self._opened()
            tail.lock(by)
            try:
                first, written = tail.seq + 1, tail.append([entry.record for entry in entries])
            finally:
                tail.unlock()
            for seq, entry in enumerate(entries[:written], first):
                entry.seq = seq
            problem: Exception = OSError("the disk is full")
        except (OSError, LineError) as error:
            written, problem = 0, error
        for entry in entries[written:]:
            entry.problem = problem
