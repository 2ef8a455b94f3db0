"""The recorder: every answer and every change passes it, and is in the journal before it is known.

What cannot be recorded is not answered and not done: JournalError is the caller's to heed.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.decision.pdp import Decision
from scopebound_engine.log.journal import Journal
from scopebound_engine.log.record import Asked, event_of, of_decision, opening
from scopebound_engine.log.tail import Note
from scopebound_engine.masking import Masks

_REMEMBERED: Final = 10_000


class Recorder:
    """Writes records. Safe for use by many threads; every method raises JournalError."""

    def __init__(
        self,
        journal: Journal,
        masks: Masks,
        *,
        node: str,
        clock: Callable[[], float],
        skew_ms: Callable[[], float | None],
    ) -> None:
        """`skew_ms`: by how much the node's clock is ahead of the database's, if that is known."""
        self._journal, self._masks, self._node = journal, masks, node
        self._clock, self._skew_ms = clock, skew_ms
        self._firsts = _Firsts()

    def decision(self, decision: Decision, asked: Asked, deadline: float | None = None) -> str:
        """Record a decision that is about to be answered; the record's id.

        `deadline` is a time of `time.monotonic()`.
        """
        fields = of_decision(decision, asked, self._masks)
        call, entry = decision.call, decision.entry
        if call is None or entry is None or not call.named:
            return self._write(event_of(decision, asked.action), fields, deadline)
        one = (entry.session_id, call.call_id)
        if "replayed" in fields and (first := self._firsts.find(one)):
            fields["of"] = first
        record_id = self._write(event_of(decision, asked.action), fields, deadline)
        if "replayed" not in fields:
            self._firsts.note(one, record_id)
        return record_id

    def event(self, name: str, *, deadline: float | None = None, **fields: Any) -> str:
        """Record something else that happened; `fields` are the record's own. The record's id."""
        return self._write(name, fields, deadline)

    def check(self, deadline: float | None = None) -> None:
        """Raises JournalError when a record could not be written now."""
        self._journal.check(deadline)

    def problem(self) -> str:
        """Why this process's last record could not be written; empty where it could."""
        return self._journal.problem()

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def _write(self, event: str, fields: dict[str, Any], deadline: float | None) -> str:
        record = opening(event, self._node, int(self._clock() * 1_000_000))
        record["clock"] = {"skew_ms": self._skew_ms()}
        record.update(fields)
        self._journal.append(strict_json.encode(record), deadline)
        record_id: str = record["id"]
        return record_id


def noting(node: str, clock: Callable[[], float]) -> Note:
    """How the journal of a node writes down what happens to itself."""

    def note(event: str, details: Mapping[str, Any]) -> bytes:
        record = opening(event, node, int(clock() * 1_000_000))
        return strict_json.dumps(record | {"details": dict(details)})

    return note


class _Firsts:
    """The records of the last calls that may come again, by session and call id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: OrderedDict[tuple[str, str], str] = OrderedDict()

    def find(self, one: tuple[str, str]) -> str | None:
        return self._ids.get(one)

    def note(self, one: tuple[str, str], record_id: str) -> None:
        with self._lock:
            self._ids[one] = record_id
            self._ids.move_to_end(one)
            if len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)
