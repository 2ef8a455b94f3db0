"""What the decision log is told of a request; no decision is answered that is not in it."""

import re
import time
from dataclasses import dataclass
from typing import Any, Final

import falcon
import structlog

from scopebound_engine import budget
from scopebound_engine.access.model import ApiKey
from scopebound_engine.api import body, departure
from scopebound_engine.decision.pdp import Decision, DecisionPoint, undecided
from scopebound_engine.decision.provision import Session
from scopebound_engine.errors import JournalError
from scopebound_engine.log.record import Action, Asked, event_of, role_of, session_of
from scopebound_engine.log.recorder import Recorder
from scopebound_engine.meter import Meter
from scopebound_engine.times import moment, timestamp

ENFORCE: Final = "/v1/enforce"
MCP_ENFORCE: Final = "/v1/mcp/enforce"
# The published client takes an answer that is later for an allow, where it fails open.
LATE_SECONDS: Final = 2.0
# What a record may take although the time for the decision is up.
_RECORDING_SECONDS: Final = 0.1
# API keys and session tokens, which callers put into the wrong fields and paths.
_SECRETS: Final = re.compile(r"sb-[\w-]{17,}|eyJ[\w-]*\.[\w.-]*")
_TRACEPARENT: Final = re.compile(
    "(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Recording:
    """Records and counts what is answered to requests; `seconds` are those of a whole request."""

    recorder: Recorder
    decisions: DecisionPoint
    meter: Meter
    seconds: float

    def of_call(self, req: falcon.Request, decision: Decision) -> tuple[Decision, str]:
        """The decision on a tool call that may be answered now, and the id of its record.

        A denial without one where it could not be recorded.
        """
        deadline = self._deadline(req)
        action: Action = "mcp_tool_call" if req.path == MCP_ENFORCE else "tool_call"
        try:
            record_id = self._record(req, decision, _asked(req, decision, action), deadline)
        except Exception as error:  # a bug of our own, too, must end in a denial
            is_bug = not isinstance(error, JournalError)
            log.critical("a decision was not recorded", reason=str(error), exc_info=is_bug)
            self.meter.unrecorded()
            return self.decisions.withdrawn(decision, undecided(error), deadline), ""
        departure.then(req, lambda is_out: self._note_late(req, decision, record_id, is_out))
        return decision, record_id

    def of_delegation(self, req: falcon.Request, decision: Decision, status: int) -> str:
        """The id of the record of what the policy said of a delegation. Raises JournalError."""
        asked = _asked(req, decision, "delegate", status)
        return self._record(req, decision, asked, self._deadline(req))

    def of_session(self, req: falcon.Request, session: Session) -> None:
        """Record a session that was made, and what let another one spawn it.

        Raises JournalError: nobody gets its token then.
        """
        if session.allowed is not None:
            self.of_delegation(req, session.allowed, 200)
        self.recorder.event(
            "session.provisioned",
            deadline=self._deadline(req),
            request=request_fields(req),
            actor=actor_of(req),
            agent=session.claims["sub"],
            role=role_of(session.claims),
            session=session_of(session.claims),
            details={"expires_at": timestamp(moment(session.expires_at))},
        )

    def _record(
        self, req: falcon.Request, decision: Decision, asked: Asked, deadline: float
    ) -> str:
        began = time.monotonic()
        with budget.ending(deadline - _RECORDING_SECONDS):
            record_id = self.recorder.decision(decision, asked, deadline)
        ended, verdict = time.monotonic(), decision.verdict
        self.meter.decision(
            event_of(decision, asked.action),
            "" if verdict.allow else verdict.violations[0].code,
            decision.stages,
            ended - began,
            ended - req.context.arrived,
        )
        return record_id

    def _deadline(self, req: falcon.Request) -> float:
        arrived: float = req.context.arrived
        return max(arrived + self.seconds, time.monotonic() + _RECORDING_SECONDS)

    def _note_late(
        self, req: falcon.Request, decision: Decision, record_id: str, is_out: bool
    ) -> None:
        """Mark an answer that its caller did not get in time: if it fails open, the call ran."""
        seconds = time.monotonic() - req.context.arrived
        if is_out and seconds <= LATE_SECONDS:
            return
        self.meter.late()
        try:
            self.recorder.event(
                "answer.late",
                of=record_id,
                request=request_fields(req),
                call_id=req.context.call_id,
                decision="allow" if decision.verdict.allow else "deny",
                details={"elapsed_ms": round(seconds * 1000, 3), "peer_gone": not is_out},
            )
        except JournalError as error:
            log.error("a late answer was not marked", decision_id=record_id, reason=str(error))


def request_fields(req: falcon.Request, status: int = 200) -> dict[str, Any]:
    """What a record says of its request, as far as it is known."""
    fields = {
        "id": req.context.request_id,
        "method": req.method,
        "path": req.path,
        "peer": req.remote_addr,
        "status": status,
    }
    if (key := getattr(req.context, "api_key", None)) is not None:
        fields["api_key_id"] = key.id
    if parent := traceparent(req):
        fields["traceparent"] = parent
    return fields | getattr(req.context, "remarks", {})


def without_secrets(text: str, length: int) -> str:
    """So much of a foreign text as may be recorded, without what lets its reader in."""
    # Cut before as well: on a long text that looks like the beginning of many tokens it takes long.
    return _SECRETS.sub("[left out]", text[: length * 2])[:length]


def traceparent(req: falcon.Request) -> str:
    """The W3C header that says which trace the request is part of; empty without a sound one."""
    parent = req.get_header("traceparent")
    return parent if parent is not None and _TRACEPARENT.fullmatch(parent) else ""


def actor_of(req: falcon.Request) -> dict[str, Any]:
    """Whose API key the request was admitted with."""
    key: ApiKey = req.context.api_key
    return {"api_key_id": key.id, "name": key.name}


def _asked(req: falcon.Request, decision: Decision, action: Action, status: int = 200) -> Asked:
    is_unfit = decision.call is None
    return Asked(
        action,
        req.context.call_id,
        req.context.arrived,
        request_fields(req, status),
        token=getattr(req.context, "token", ""),
        body=body.digest(req) if is_unfit else None,
    )
