"""Sessions: looked at, ended, cleared of drift."""

from typing import Final

from scopebound_engine.api.examples import sessions as examples
from scopebound_engine.api.openapi import Answer, Operation
from scopebound_engine.api.operations.parameters import query
from scopebound_engine.api.operations.statuses import ASKED, NOT_FOUND, OK
from scopebound_engine.api.schemas import sessions as schemas
from scopebound_engine.api.sessions import MAX_REASON, SessionItem

_SESSION_ID: Final = {
    "name": "session_id",
    "in": "path",
    "required": True,
    "description": "The session's id, as provision answered it.",
    "schema": {"type": "string", "format": "uuid"},
    "example": examples.SESSION_ID,
}
_REASON: Final = query(
    "reason", "Why; those who are denied are told.", type="string", maxLength=MAX_REASON
)
_ITEM: Final = "/v1/sessions/{session_id}"

OPERATIONS: Final = (
    Operation(
        id="getSession",
        method="get",
        path=_ITEM,
        tag="sessions",
        responder=SessionItem.on_get,
        parameters=(_SESSION_ID,),
        answers={
            OK: Answer("The session.", schemas.SessionWithChildren, {"session": examples.SESSION})
        },
        problems=(*ASKED, NOT_FOUND),
    ),
    Operation(
        id="revokeSession",
        method="delete",
        path=_ITEM,
        tag="sessions",
        responder=SessionItem.on_delete,
        parameters=(_SESSION_ID, _REASON),
        answers={OK: Answer("It has ended.", schemas.Revocation, {"ended": examples.REVOCATION})},
        problems=(*ASKED, NOT_FOUND),
    ),
    Operation(
        id="clearDrift",
        method="post",
        path=f"{_ITEM}/clear-drift",
        tag="sessions",
        responder=SessionItem.on_post_clear_drift,
        parameters=(_SESSION_ID, _REASON),
        answers={OK: Answer("It is cleared.", schemas.SessionState, {"session": examples.STATE})},
        problems=(*ASKED, NOT_FOUND),
    ),
)
