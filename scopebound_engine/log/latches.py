"""Latches that are recorded: a session that was denied for drift, once for each time."""

from dataclasses import dataclass

import structlog

from scopebound_engine.errors import JournalError
from scopebound_engine.log.recorder import Recorder
from scopebound_engine.session.store import Sessions

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RecordedLatches:
    """The latches of sessions, for `decision/denials.py`."""

    sessions: Sessions
    recorder: Recorder

    def latch(self, session_id: str) -> None:
        """Let the session be denied until an operator clears it. Raises DatabaseUnavailableError.

        It is latched even where that cannot be recorded; so are then no more calls allowed.
        """
        if not self.sessions.latch(session_id):
            return
        try:
            self.recorder.event(
                "session.drift_latched", subject={"type": "session", "id": session_id}
            )
        except JournalError as error:
            log.error("a latch was not recorded", session_id=session_id, reason=str(error))
