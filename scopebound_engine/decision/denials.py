"""What a denial does to its session.

A call enters its session as if it were allowed. One that is denied is taken out of the counts
again, so that denied calls neither clear nor pad the evidence of drift. And a session that was
denied for drift alone is latched: it stays denied until an operator clears it.
"""

import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Final, Protocol

import structlog

from scopebound_engine import baton
from scopebound_engine.session.state.seam import Entry, SessionFacts, SessionState
from scopebound_engine.verdict import Verdict

# The deny code that latches its session.
DRIFT: Final = "BEHAVIORAL_DRIFT"
# As many slow denials at once; each ends by the bounds of state and database.
_THREADS: Final = 16

log = structlog.get_logger()


class Latches(Protocol):
    """Where it is kept that a session was denied for drift; see `session/store.py`."""

    def latch(self, session_id: str) -> None:
        """Let the session be denied until an operator clears it."""


class Denials:
    """Settles denials. Safe for use by many threads."""

    def __init__(self, state: SessionState, latches: Latches) -> None:
        self._state, self._latches = state, latches
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="denials")

    def settle(
        self, entry: Entry, session: SessionFacts, verdict: Verdict, deadline: float
    ) -> None:
        """Settle a call that was denied, before it is answered; there is nothing to do for others.

        The denial stands whatever comes of it. What is not done by the deadline, a time of
        `time.monotonic()`, goes on behind the answer: a client that fails open would take a late
        one for an allow.
        """
        if verdict.allow or not session.counted:
            return
        # What is denied for another reason too is no call of the session's, and proves nothing.
        drifted = all(violation.code == DRIFT for violation in verdict.violations)
        # What is logged there, too, names the request.
        run = copy_context().run
        work = self._threads.submit(run, self._settle, entry, drifted and not session.latched)
        with baton.lent():
            ended = wait([work], max(0.0, deadline - time.monotonic())).done
        if not ended:
            log.warning("denial answered before it was settled", session_id=entry.session_id)

    def _settle(self, entry: Entry, drifted: bool) -> None:
        if drifted:
            self._latch(entry.session_id)
        try:
            self._state.uncount(entry.session_id, entry.slot)
        except Exception as error:
            log.error("denied call stays counted", exc_info=error, session_id=entry.session_id)

    def _latch(self, session_id: str) -> None:
        try:
            self._latches.latch(session_id)
        except Exception as error:
            log.critical(
                "session drifted and could NOT be latched: its next calls may be allowed; revoke it"
                " with DELETE /v1/sessions/{id} if they must not be",
                exc_info=error,
                session_id=session_id,
            )
        else:
            log.warning("session drifted: denied until it is cleared", session_id=session_id)
