"""Sessions and decisions."""

from http import HTTPStatus
from typing import Final

from scopebound_engine.api.enforce import Enforce
from scopebound_engine.api.examples import enforcement as examples
from scopebound_engine.api.openapi import Answer, Body, Operation
from scopebound_engine.api.operations.statuses import (
    CONFLICT,
    NOT_FOUND,
    OK,
    UNKNOWN_CALLER,
    WRITING,
)
from scopebound_engine.api.problems import MEDIA_TYPE
from scopebound_engine.api.provision import Provision
from scopebound_engine.api.schemas import enforcement as schemas
from scopebound_engine.api.schemas.problems import Problem

# Where a session's token goes next, for clients and tests that walk the API.
_TO_DECISION: Final = {
    name: {
        "operationId": name,
        "requestBody": {"jwt": "$response.body#/jwt", "tool_name": "read", "call_args": {}},
    }
    for name in ("enforce", "enforceMcp")
}
# As of draft-ietf-httpapi-ratelimit-headers-10, where the session has limits.
_LIMITS: Final = {
    "RateLimit-Policy": 'The limits that bind the call: "minute", "hour", and "server" for its MCP '
    'server: "minute";q=30;w=60, "hour";q=500;w=3600',
    "RateLimit": "What is left of them, and in how many seconds at the latest there is more: "
    '"minute";r=28;t=2, "hour";r=498;t=8. Not for a call that came again.',
}


def _enforcing(name: str, path: str, body: Body) -> Operation:
    decisions = {
        "allow": examples.ALLOW,
        "deny": examples.DENIAL,
        "repeated": examples.REPEATED,
        "limited": examples.RATE_LIMITED,
    }
    return Operation(
        id=name,
        method="post",
        path=path,
        tag="enforcement",
        responder=Enforce.on_post,
        body=body,
        answers={OK: Answer("The decision.", schemas.Decision, decisions, _LIMITS)},
        problems=(HTTPStatus.BAD_REQUEST, *UNKNOWN_CALLER),
        note="Every call is answered with 200 and a decision, also one whose body is unfit "
        "(REQUEST_INVALID), whose token cannot be believed (JWT_INVALID) or that the engine "
        "cannot judge (POLICY_ERROR). Only a `jwt` that is missing or no string is a 400.",
    )


OPERATIONS: Final = (
    Operation(
        id="provision",
        method="post",
        path="/v1/provision",
        tag="enforcement",
        responder=Provision.on_post,
        body=Body(schemas.SessionRequest, examples.SESSION_REQUEST),
        answers={
            OK: Answer("The session.", schemas.Session, {"session": examples.SESSION}),
            HTTPStatus.FORBIDDEN: Answer(
                "The API key may not do this, or the policy refuses the delegation.",
                Problem | schemas.RefusedDelegation,
                {"key": examples.FORBIDDEN, "policy": examples.REFUSED_DELEGATION},
                media_type=MEDIA_TYPE,
            ),
        },
        problems=(*WRITING, NOT_FOUND, CONFLICT),
        links=_TO_DECISION,
    ),
    _enforcing("enforce", "/v1/enforce", Body(schemas.ToolCall, examples.TOOL_CALL)),
    _enforcing("enforceMcp", "/v1/mcp/enforce", Body(schemas.McpToolCall, examples.MCP_TOOL_CALL)),
)
