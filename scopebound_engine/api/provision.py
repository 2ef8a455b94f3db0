"""POST /v1/provision: a session token for an agent."""

from dataclasses import dataclass
from typing import Any

import falcon

from scopebound_engine import strict_json
from scopebound_engine.access.model import ENFORCE
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.auth import require
from scopebound_engine.api.body import read_json
from scopebound_engine.api.problems import answer_refusal
from scopebound_engine.api.recording import Recording
from scopebound_engine.config import Config
from scopebound_engine.decision.pdp import Decision
from scopebound_engine.decision.provision import Delegation, Provisioner
from scopebound_engine.errors import InputError
from scopebound_engine.times import moment, timestamp


@dataclass(frozen=True, slots=True)
class Wish:
    """What a body asks for: a role's UUID or name, seconds, and the session to be spawned by."""

    role_id: str
    requested_ttl: int
    parent_session_id: str


@dataclass(frozen=True, slots=True)
class Provision:
    """Sessions are made here."""

    provisioner: Provisioner
    config: Config

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Make a session of a role named by UUID or name.

        With `parent_session_id` the policy is asked first, and a session that it refuses is a 403
        with the denial in it. Fields the client sends beside these (task_type, framework) are
        ignored.
        """
        key = require(req, ENFORCE)
        wish = wish_of(read_json(req))
        role = (wish.role_id, wish.requested_ttl, key)
        if wish.parent_session_id:
            req.context.call_id = req.context.request_id
            deadline = req.context.arrived + self.config.total_deadline_ms / 1000
            delegation = Delegation(wish.parent_session_id, req.context.call_id, deadline)
            session = self.provisioner.delegate(delegation, *role)
        else:
            session = self.provisioner.provision(*role)
        if isinstance(session, Decision):
            answer_refusal(req, resp, session)
            return
        recording: Recording = req.context.recording
        recording.of_session(req, session)
        answer_json(
            resp,
            {
                "jwt": session.token,
                "session_id": session.session_id,
                "expires_at": timestamp(moment(session.expires_at)),
            },
        )


def wish_of(body: Any) -> Wish:
    """What a body asks for. Raises InputError, which names the field."""
    if type(body) is not dict:
        raise InputError("", f"an object is needed, not {strict_json.type_name(body)}")
    return Wish(_role_id(body), _requested_ttl(body), _parent_session_id(body))


def _role_id(body: dict[str, Any]) -> str:
    role_id = body.get("role_id")
    if type(role_id) is not str or not role_id:
        raise InputError("role_id", "a string is needed: the role's name or UUID")
    return role_id


def _requested_ttl(body: dict[str, Any]) -> int:
    seconds = body.get("requested_ttl")
    if seconds is None:
        return 0
    if type(seconds) is not int or seconds < 0:
        raise InputError("requested_ttl", "a number of seconds is needed; 0 means the role's")
    return seconds


def _parent_session_id(body: dict[str, Any]) -> str:
    """Empty for none, as the client sends it."""
    parent_id = body.get("parent_session_id")
    if parent_id is None:
        return ""
    if type(parent_id) is not str:
        raise InputError("parent_session_id", "a string is needed: the id of a session, or none")
    return parent_id
