"""POST /v1/provision: a session token for an agent."""

from dataclasses import dataclass
from typing import Any

import falcon

from scopebound_engine import strict_json
from scopebound_engine.access.model import ENFORCE
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.auth import require
from scopebound_engine.api.body import read_json
from scopebound_engine.errors import InputError
from scopebound_engine.session.provision import Provisioner
from scopebound_engine.times import moment, timestamp


@dataclass(frozen=True, slots=True)
class Provision:
    """Sessions are made here."""

    provisioner: Provisioner

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Make a session of a role named by UUID or name.

        Fields the client sends beside these (task_type, framework) are ignored.
        """
        key = require(req, ENFORCE)
        role_id, requested_ttl = wish_of(read_json(req))
        session = self.provisioner.provision(role_id, requested_ttl, key)
        answer_json(
            resp,
            {
                "jwt": session.token,
                "session_id": session.session_id,
                "expires_at": timestamp(moment(session.expires_at)),
            },
        )


def wish_of(wish: Any) -> tuple[str, int]:
    """The role and the seconds that a body asks for. Raises InputError, which names the field."""
    if type(wish) is not dict:
        raise InputError("", f"an object is needed, not {strict_json.type_name(wish)}")
    if wish.get("parent_session_id") not in (None, ""):
        raise InputError(
            "parent_session_id",
            "sessions of sub-agents are not offered by this version; leave the field out",
        )
    return _role_id(wish), _requested_ttl(wish)


def _role_id(wish: dict[str, Any]) -> str:
    role_id = wish.get("role_id")
    if type(role_id) is not str or not role_id:
        raise InputError("role_id", "a string is needed: the role's name or UUID")
    return role_id


def _requested_ttl(wish: dict[str, Any]) -> int:
    seconds = wish.get("requested_ttl")
    if seconds is None:
        return 0
    if type(seconds) is not int or seconds < 0:
        raise InputError("requested_ttl", "a number of seconds is needed; 0 means the role's")
    return seconds
