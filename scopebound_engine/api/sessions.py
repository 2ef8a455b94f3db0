"""/v1/sessions: look at a session, end it with all that it spawned, clear what drift latched.

A key with only the scope `enforce` sees and ends the sessions that it made; `roles` all of them.
To clear drift is an operator's judgement and needs `roles`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import falcon
import structlog

from scopebound_engine.access.model import AUDIT, ENFORCE, ROLES, ApiKey
from scopebound_engine.api import audit_trail, queries
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.auth import require
from scopebound_engine.errors import NotFoundError
from scopebound_engine.log.record import role_of, session_of
from scopebound_engine.role.values import is_uuid
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.drift.evidence import judge
from scopebound_engine.session.state.seam import SessionState, Window
from scopebound_engine.session.store import SessionRecord, Sessions
from scopebound_engine.times import moment, timestamp

MAX_REASON: Final = 500
_NO_REASON: Final = "no reason given"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SessionItem:
    """One session, by its id."""

    sessions: Sessions
    state: SessionState
    baselines: Baselines
    clock: Callable[[], float]

    def on_get(self, req: falcon.Request, resp: falcon.Response, session_id: str) -> None:
        """The session as it is now, and those that it spawned."""
        key = require(req, ENFORCE, ROLES, AUDIT)
        queries.only(req)
        session = self._of(key, session_id)
        children = self.sessions.children(session.id)
        now = moment(self.clock())
        answer_json(
            resp, self._shown(session, now) | {"children": [_child(c, now) for c in children]}
        )

    def on_delete(self, req: falcon.Request, resp: falcon.Response, session_id: str) -> None:
        """End the session and all that it spawned, for every call that begins after the answer."""
        key = require(req, ENFORCE, ROLES)
        queries.only(req, {"reason"})
        reason = queries.text(req, "reason", MAX_REASON) or _NO_REASON
        session = self._of(key, session_id)
        ended = self.sessions.revoke(session.id, reason)
        log.warning(
            "session revoked", session_id=session.id, api_key=key.id, reason=reason, ended=ended
        )
        _audit(req, "session.revoked", session, {"reason": reason, "sessions_ended": ended})
        answer_json(
            resp,
            {"revoked": True, "session_id": session.id, "reason": reason, "sessions_ended": ended},
        )

    def on_post_clear_drift(
        self, req: falcon.Request, resp: falcon.Response, session_id: str
    ) -> None:
        """Forget that the session drifted, and its calls so far, which would deny it again."""
        key = require(req, ROLES)
        queries.only(req, {"reason"})
        reason = queries.text(req, "reason", MAX_REASON) or _NO_REASON
        session = self._of(key, session_id)
        self.state.forget_counts(session.id)
        self.sessions.clear_latch(session.id)
        log.warning("drift cleared", session_id=session.id, api_key=key.id, reason=reason)
        _audit(req, "session.drift_cleared", session, {"reason": reason})
        answer_json(resp, self._shown(self.sessions.get(session.id), moment(self.clock())))

    def _of(self, key: ApiKey, session_id: str) -> SessionRecord:
        if not is_uuid(session_id):
            raise NotFoundError("a session's address ends in its id, as provision answered it")
        session = self.sessions.get(session_id)
        if key.may(ROLES, AUDIT) or session.api_key_id == key.id:
            return session
        raise NotFoundError("there is no such session among those that this API key made")

    def _shown(self, session: SessionRecord, now: datetime) -> dict[str, Any]:
        claims = session.claims
        minute, hour = self.state.peek(
            session.id, claims["rate_limit_per_minute"], claims["rate_limit_per_hour"]
        )
        counts = _by_tool(session, self.state.counts_of([session.id]).get(session.id, ()))
        baseline = None if session.baseline_id is None else self.baselines.get(session.baseline_id)
        drift = judge(counts, baseline, latched=session.latched_at is not None)
        return {
            "session_id": session.id,
            "status": session.status(now),
            "agent_id": claims["sub"],
            "role": claims["role"],
            "role_id": session.role_id,
            "role_revision": session.role_revision,
            "created_at": timestamp(session.created_at),
            "expires_at": timestamp(session.expires_at),
            "revoked_at": session.revoked_at and timestamp(session.revoked_at),
            "revoked_reason": session.revoked_reason,
            "parent_session_id": session.parent_id,
            "root_session_id": claims["root_session_id"],
            "delegation_depth_remaining": claims["delegation_depth_remaining"],
            "rate": {"minute": _window(minute), "hour": _window(hour)},
            "calls": counts,
            "drift": asdict(drift),
        }


def _audit(
    req: falcon.Request, event: str, session: SessionRecord, details: dict[str, Any]
) -> None:
    claims = session.claims
    audit_trail.audit(
        req,
        event,
        audit_trail.subject("session", session.id),
        details,
        agent=claims["sub"],
        role=role_of(claims),
        session=session_of(claims),
    )


def _child(session: SessionRecord, now: datetime) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "role": session.claims["role"],
        "status": session.status(now),
        "expires_at": timestamp(session.expires_at),
    }


def _by_tool(session: SessionRecord, counts: "tuple[int, ...]") -> dict[str, int]:
    tools = session.claims["allowed_tools"]
    return {tool: calls for tool, calls in zip(tools, counts, strict=False) if calls}


def _window(window: Window) -> dict[str, int]:
    return {
        "limit": window.limit,
        "remaining": window.remaining,
        "retry_after_seconds": window.retry_after_seconds,
    }
