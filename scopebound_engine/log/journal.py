"""The journal: what is appended is in a file, in the chain, before `append` returns.

Many processes of a node append to the same file, each with many threads. What was appended
survives the death of every process at once; a crash of the machine may undo what is younger than
`sync_seconds`, unless each record is synced.
"""

import atexit
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from errno import EACCES, EDQUOT, EFBIG, EIO, ENOSPC, EPERM, EROFS
from pathlib import Path
from typing import Any, Final, Literal

from scopebound_engine import strict_json
from scopebound_engine.errors import JournalError
from scopebound_engine.log.sync import Syncer
from scopebound_engine.log.tail import Note, Tail
from scopebound_engine.log.writer import Writer

MAX_RECORD_BYTES: Final = 8 << 20
PATIENCE_SECONDS: Final = 1.0

_ROOM: Final = "make room on its disk"
_WRITABLE: Final = "make it writable for the user that serves"
_REMEDIES: Final[Mapping[int | None, str]] = {
    ENOSPC: _ROOM,
    EDQUOT: _ROOM,
    EFBIG: "raise the limit on the size of its files",
    EIO: "check its disk",
    EROFS: _WRITABLE,
    EACCES: _WRITABLE,
    EPERM: _WRITABLE,
}
_OTHERWISE: Final = "check its disk, and that no stopped process holds it"


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of the journal; 0 and GENESIS where there is none."""

    seq: int
    hash: str


def plain_note(event: str, details: Mapping[str, Any]) -> bytes:
    """The record of an event of the journal itself, where nobody else says how it looks."""
    return strict_json.dumps({"at_us": time.time_ns() // 1000, "event": event, "details": details})


class Journal:
    """The journal of one node, in a folder of its own. Opened by each process on its first use.

    Every deadline is a time of `time.monotonic()`; without one it is PATIENCE_SECONDS from now.
    A disk that hangs holds the one thread that writes for longer, the others end in time.
    """

    def __init__(
        self,
        folder: Path,
        node: str,
        *,
        sync: Literal["timer", "each"] = "timer",
        sync_seconds: float = 0.2,
        segment_bytes: int = 64 << 20,
        note: Note = plain_note,
    ) -> None:
        self._folder, self._note, self._each = folder.absolute(), note, sync == "each"
        self._node, self._sync_seconds, self._segment_bytes = node, sync_seconds, segment_bytes
        self._opening = threading.Lock()
        self._writer: Writer | None = None

    def append(self, record: bytes, deadline: float | None = None) -> int:
        """Write a record, one canonical JSON object; its number in the journal.

        Raises JournalError: the record is not in the journal, or stands there as one of those that
        the next `log.resumed` names as overruled.
        """
        if len(record) > MAX_RECORD_BYTES or b"\n" in record or not record.startswith(b"{"):
            raise JournalError(
                f"a record of {len(record)} bytes is not written into the decision log: it takes "
                f"JSON objects of at most {MAX_RECORD_BYTES} bytes without a newline"
            )
        try:
            return self._own_writer().append(record, _by(deadline))
        except OSError as error:
            raise self._explained(error) from error

    def check(self, deadline: float | None = None) -> None:
        """Raises JournalError when a record could not be written now."""
        try:
            self._own_writer().check(_by(deadline))
        except OSError as error:
            raise self._explained(error) from error

    def head(self, deadline: float | None = None) -> Head:
        """The last line, whoever wrote it. Raises JournalError."""
        try:
            return Head(*self._own_writer().head(_by(deadline)))
        except OSError as error:
            raise self._explained(error) from error

    def problem(self) -> str:
        """Why the last record could not be written; empty where it could."""
        writer = self._writer
        gap = writer.gap if writer is not None and writer.pid == os.getpid() else None
        return gap.reason if gap is not None else ""

    def close(self) -> None:
        """Bring all to the disk and let go of the file; the next use opens it again."""
        atexit.unregister(self.close)
        with self._opening:
            writer, self._writer = self._writer, None
        if writer is not None and writer.pid == os.getpid():
            with suppress(TimeoutError):
                writer.close(_by(None))

    def _own_writer(self) -> Writer:
        writer = self._writer
        if writer is not None and writer.pid == os.getpid():
            return writer
        with self._opening:
            if self._writer is None or self._writer.pid != os.getpid():
                atexit.register(self.close)
                syncer = Syncer(self._folder, self._sync_seconds)
                self._writer = Writer(self._open_tail, syncer, self._note, each=self._each)
            return self._writer

    def _open_tail(self, syncer: Syncer) -> Tail:
        return Tail(self._folder, self._node, self._segment_bytes, self._note, syncer)

    def _explained(self, error: OSError) -> JournalError:
        return JournalError(
            f"the decision log in {self._folder} cannot be written: "
            f"{error.strerror or error}; {_REMEDIES.get(error.errno, _OTHERWISE)}"
        )


def _by(deadline: float | None) -> float:
    return time.monotonic() + PATIENCE_SECONDS if deadline is None else deadline
