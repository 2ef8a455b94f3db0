"""/mgmt/v1/roles: create, read, change, suspend and delete roles.

A key with only the scope `enforce` reads id and name of the roles it may provision, and no more:
the published client looks names up with it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import falcon
import structlog

from scopebound_engine import strict_json
from scopebound_engine.access.model import ENFORCE, ROLES, ApiKey
from scopebound_engine.api import body, queries, role_trail
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.audit_trail import audit
from scopebound_engine.api.auth import require
from scopebound_engine.api.body import read_json
from scopebound_engine.decision.provision import Provisioner
from scopebound_engine.errors import InputError, NotFoundError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleChanges, RoleFields
from scopebound_engine.role.inheritance import effective, warnings_of
from scopebound_engine.role.model import Role, Suspension, role_response
from scopebound_engine.role.store import RoleStore
from scopebound_engine.role.values import is_uuid
from scopebound_engine.session.store import Sessions

_CREATED: Final = HTTPStatus.CREATED

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RoleCollection:
    """All roles."""

    roles: RoleStore
    provisioner: Provisioner
    check_receiver: Callable[[str], object]

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Every role the key may read, or with `?name=` that one."""
        key = require(req, ROLES, ENFORCE)
        queries.only(req, {"name"})
        if "name" in req.params:
            answer_json(resp, _answer(key, self.roles.by_name(_name(req))))
            return
        readable = [_answer(key, role) for role in self.roles.list() if _may_read(key, role)]
        answer_json(resp, {"count": len(readable), "roles": readable})

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a role; answers 201 with `warnings` beside its fields."""
        require(req, ROLES)
        queries.only(req)
        fields = parse(RoleFields, read_json(req))
        _check_receiver(self.check_receiver, fields.webhook_url)
        role = self.roles.create(fields, self.provisioner.check)
        given = {"fields": role_trail.fields_of(role)}
        audit(req, "role.created", **role_trail.about(role), details=given, status=_CREATED)
        answer_json(resp, _answer_change(self.roles, role), _CREATED)
        resp.set_header("Location", f"/mgmt/v1/roles/{role.id}")


@dataclass(frozen=True, slots=True)
class RoleItem:
    """One role, by its UUID. Operators' interventions are logged with the id of their key."""

    roles: RoleStore
    provisioner: Provisioner
    sessions: Sessions
    check_receiver: Callable[[str], object]

    def on_get(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """The role."""
        key = require(req, ROLES, ENFORCE)
        queries.only(req)
        answer_json(resp, _answer(key, self.roles.get(role_uuid(role_id))))

    def on_put(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """Replace what the body names and leave the rest; answers with `warnings`.

        The change is for sessions to come: those that live keep the claims of their tokens.
        """
        require(req, ROLES)
        queries.only(req)
        changes = parse(RoleChanges, read_json(req))
        _check_receiver(self.check_receiver, changes.webhook_url)
        before, role = self.roles.update(role_uuid(role_id), changes, self.provisioner.check)
        changed = {"changes": role_trail.changes(before, role)}
        audit(req, "role.updated", **role_trail.about(role), details=changed)
        concerned = (role.id, *self.roles.below(role.id))
        former = self.sessions.count_former(concerned, role.updated_at)
        answer_json(
            resp, _answer_change(self.roles, role) | {"sessions_with_former_claims": former}
        )

    def on_delete(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """Delete the role; its live sessions are denied from now on."""
        key = require(req, ROLES)
        queries.only(req)
        role = self.roles.delete(role_uuid(role_id))
        log.warning("role deleted", role_id=role.id, role=role.name, api_key=key.id)
        fields = {"fields": role_trail.fields_of(role)}
        audit(req, "role.deleted", **role_trail.about(role), details=fields)
        answer_json(resp, {"deleted": True, "id": role.id, "name": role.name})

    def on_post_suspend(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """Take the role out of force: no new sessions, and its live ones are denied."""
        key, reason = require(req, ROLES), _reason(req)
        role = self.roles.suspend(role_uuid(role_id), reason)
        log.warning(
            "role suspended", role_id=role.id, role=role.name, api_key=key.id, reason=reason
        )
        audit(req, "role.suspended", **role_trail.about(role), details={"reason": reason})
        answer_json(resp, role_response(role))

    def on_post_resume(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """Put the role in force again."""
        key, reason = require(req, ROLES), _reason(req)
        role = self.roles.resume(role_uuid(role_id))
        log.warning("role resumed", role_id=role.id, role=role.name, api_key=key.id, reason=reason)
        audit(req, "role.resumed", **role_trail.about(role), details={"reason": reason})
        answer_json(resp, role_response(role))

    def on_post_revoke_sessions(
        self, req: falcon.Request, resp: falcon.Response, role_id: str
    ) -> None:
        """End all live sessions of the role and what they spawned; new ones may be made."""
        key, reason = require(req, ROLES), _reason(req)
        role = self.roles.get(role_uuid(role_id))
        ended = self.sessions.revoke_of_role(role.id, reason or "all sessions of the role")
        log.warning(
            "sessions of a role revoked",
            role_id=role.id,
            role=role.name,
            api_key=key.id,
            reason=reason,
            ended=ended,
        )
        details = {"reason": reason, "sessions_ended": ended}
        audit(req, "role.sessions_revoked", **role_trail.about(role), details=details)
        answer_json(resp, {"id": role.id, "name": role.name, "sessions_ended": ended})


def _check_receiver(check: Callable[[str], object], url: str) -> None:
    """Raises InputError for a URL that no webhook could go to, whatever its name leads to."""
    if url:
        check(url)


def _may_read(key: ApiKey, role: Role) -> bool:
    return key.may(ROLES) or key.may_provision(role.id, role.name)


def _answer(key: ApiKey, role: Role) -> dict[str, Any]:
    if not _may_read(key, role):
        raise NotFoundError("there is no such role among those that this API key may provision")
    return role_response(role) if key.may(ROLES) else {"id": role.id, "name": role.name}


def _answer_change(roles: RoleStore, role: Role) -> dict[str, Any]:
    return role_response(role, warnings_of(effective(roles.chain(role))))


def role_uuid(role_id: str) -> str:
    """The UUID in a role's address. Raises NotFoundError for what is none."""
    if not is_uuid(role_id):
        raise NotFoundError(
            "a role's address ends in its UUID; GET /mgmt/v1/roles?name= finds one by its name"
        )
    return role_id.lower()


def _reason(req: falcon.Request) -> str:
    """Why, as the optional body says."""
    queries.only(req)
    data = body.read(req, body.MANAGEMENT_BODY_BYTES, time.monotonic() + body.MANAGEMENT_SECONDS)
    return parse(Suspension, strict_json.loads(data) if data else {}).reason


def _name(req: falcon.Request) -> str:
    name = req.params["name"]
    if not isinstance(name, str) or not name:
        raise InputError("name", "give one name, once")
    if not (name.isascii() and name.isprintable()):
        raise NotFoundError("no role has such a name: names are of printable ASCII characters")
    return name
