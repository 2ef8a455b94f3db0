"""POST /v1/enforce and /v1/mcp/enforce: may this tool call run?

Whatever an agent can bring about ends in a 200 decision here; only the integrator's own mistakes
(no JWT at all, no or a wrong API key) are problems. See `problems.py` for what raises.
"""

import re
import time
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal

import falcon

from scopebound_engine import budget, strict_json
from scopebound_engine.access.model import ENFORCE
from scopebound_engine.api import body
from scopebound_engine.api.answers import answer_decision
from scopebound_engine.api.auth import require
from scopebound_engine.api.recording import without_secrets
from scopebound_engine.config import Config
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import Decision, DecisionPoint, policy_error, request_invalid
from scopebound_engine.errors import InputError, LateBodyError, MissingTokenError

MAX_CALL_ID: Final = 128
MAX_TOOL_NAME: Final = 256
_READ: Final = frozenset({"jwt", "tool_name", "call_args", "arguments", "call_id", "action"})
_READ_OF_MCP: Final = _READ | {"mcp_server"}
# Of what a body has beside that, so many names are recorded, and so much of each text.
_RECORDED_NAMES: Final = 16
_RECORDED_LENGTH: Final = 64
# Of the time of a request so much is for its decision; the rest is kept back for the record and the
# way of the answer, or what is undecided to the last would be answered too late.
_DECIDING: Final = 0.8
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Action = Literal["tool_call", "mcp_tool_call"]


class UnfitCallError(Exception):
    """The call cannot be judged as it is; becomes REQUEST_INVALID, never a status."""


@dataclass(frozen=True, slots=True)
class Enforce:
    """One of the two endpoints; the endpoint sets the action, the body never does."""

    decisions: DecisionPoint
    config: Config
    action: Action

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Decide one call."""
        deadline = req.context.arrived + self.config.total_deadline_ms / 1000 * _DECIDING
        with budget.ending(deadline):
            decision = self._decide(req, deadline)
        answer_decision(req, resp, decision)

    def _decide(self, req: falcon.Request, deadline: float) -> Decision:
        try:
            document = self._document(req, deadline)
        except LateBodyError as error:
            return policy_error(str(error))
        except UnfitCallError as error:
            require(req, ENFORCE)
            return request_invalid(str(error))
        require(req, ENFORCE)
        req.context.remarks = remarks_on(document, self.action)
        token = document.get("jwt")
        if type(token) is not str:
            raise MissingTokenError(
                "jwt", "a string is needed: the jwt that /v1/provision answered"
            )
        req.context.token = token
        try:
            req.context.call_id = call_id_of(document)
            call = call_of(document, self.action, req.context.call_id)
        except UnfitCallError as error:
            return request_invalid(str(error))
        return self.decisions.decide(call, token, deadline)

    def _document(self, req: falcon.Request, deadline: float) -> dict[str, Any]:
        limits = self.config
        try:
            data = body.read(req, limits.max_body_bytes, deadline)
            if time.monotonic() >= deadline:
                raise LateBodyError(
                    "the request waited past its deadline; the service is overloaded"
                )
            document = strict_json.loads(
                data, depth=limits.max_depth, values=limits.max_values, keys=limits.max_keys
            )
        except InputError as error:
            raise UnfitCallError(f"the request is unfit: {error}") from error
        if type(document) is not dict:
            raise UnfitCallError(
                f"the body must be a JSON object, not {strict_json.type_name(document)}"
            )
        return document


def call_of(document: dict[str, Any], action: Action, call_id: str) -> Call:
    """The call that a body describes, `call_id` being its own or one made for it.

    Raises UnfitCallError, which names the field.
    """
    return Call(
        action=action,
        tool_name=_tool_name(document),
        call_args=_arguments(document),
        call_id=call_id,
        mcp_server=_mcp_server(document) if action == "mcp_tool_call" else None,
        named=bool(document.get("call_id")),
    )


def remarks_on(document: dict[str, Any], action: Action) -> dict[str, Any]:
    """What of a body does not count, and is only recorded: fields nobody reads, its `action`."""
    remarks: dict[str, Any] = {}
    ignored = document.keys() - (_READ if action == "tool_call" else _READ_OF_MCP)
    if ignored:
        names = sorted(without_secrets(name, _RECORDED_LENGTH) for name in ignored)
        remarks["ignored_fields"] = names[:_RECORDED_NAMES]
    if type(document.get("action")) is str:
        remarks["client_action"] = without_secrets(document["action"], _RECORDED_LENGTH)
    return remarks


def call_id_of(document: dict[str, Any]) -> str:
    """The caller's call id, or one made here; the client sends "" for none."""
    call_id = document.get("call_id")
    if call_id is None or call_id == "":
        return str(uuid.uuid4())
    if type(call_id) is not str or len(call_id) > MAX_CALL_ID:
        raise UnfitCallError(f"call_id must be a string of at most {MAX_CALL_ID} characters")
    return call_id


def _tool_name(document: dict[str, Any]) -> str:
    name = _typed(document, "tool_name", str, "a string")
    if not name or len(name) > MAX_TOOL_NAME:
        raise UnfitCallError(f"tool_name must have 1 to {MAX_TOOL_NAME} characters")
    if _CONTROL.search(name):
        raise UnfitCallError("tool_name must not contain control characters")
    return str(name)


def _arguments(document: dict[str, Any]) -> dict[str, Any]:
    given = [field for field in ("call_args", "arguments") if field in document]
    if len(given) != 1:
        fault = "both are there" if given else "both are missing"
        raise UnfitCallError(f"one of call_args and arguments is needed, and {fault}")
    arguments: dict[str, Any] = _typed(document, given[0], dict, "an object")
    limit = arguments.get("limit")
    # The Rego engine computes with 15 digits: a policy would take it for the whole number.
    if type(limit) is float and not limit.is_integer() and float(f"{limit:.15g}").is_integer():
        # Without the number: nobody knows yet whether the role masks it.
        raise UnfitCallError(f"{given[0]}.limit is nearly a whole number, but none; round it")
    return arguments


def _mcp_server(document: dict[str, Any]) -> str | None:
    if document.get("mcp_server") is None:
        return None
    server: str = _typed(document, "mcp_server", str, "a string or null")
    return server


def _typed(document: dict[str, Any], field: str, kind: type, article: str) -> Any:
    if field not in document:
        raise UnfitCallError(f"{field} is missing; {article} is needed")
    value = document[field]
    if type(value) is not kind:
        raise UnfitCallError(f"{field} must be {article}, not {strict_json.type_name(value)}")
    return value
