"""/mgmt/v1/roles: create, read and change roles.

A key with only the scope `enforce` reads id and name of the roles it may provision, and no more:
the published client looks names up with it.
"""

from collections.abc import Set
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import falcon

from scopebound_engine.access.api_keys import ApiKey
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.auth import require
from scopebound_engine.api.body import read_json
from scopebound_engine.errors import InputError, NotFoundError
from scopebound_engine.role.inheritance import effective, warnings_of
from scopebound_engine.role.model import (
    Role,
    RoleChanges,
    RoleFields,
    is_uuid,
    parse,
    role_response,
)
from scopebound_engine.role.store import RoleStore

MANAGE = "roles"
USE = "enforce"


@dataclass(frozen=True, slots=True)
class RoleCollection:
    """All roles."""

    roles: RoleStore

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Every role the key may read, or with `?name=` that one."""
        key = require(req, MANAGE, USE)
        _only(req, {"name"})
        if "name" in req.params:
            answer_json(resp, _answer(key, self.roles.by_name(_name(req))))
            return
        readable = [_answer(key, role) for role in self.roles.list() if _may_read(key, role)]
        answer_json(resp, {"count": len(readable), "roles": readable})

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a role; answers 201 with `warnings` beside its fields."""
        require(req, MANAGE)
        _only(req, set())
        role = self.roles.create(parse(RoleFields, read_json(req)))
        answer_json(resp, _answer_change(self.roles, role), HTTPStatus.CREATED)
        resp.set_header("Location", f"/mgmt/v1/roles/{role.id}")


@dataclass(frozen=True, slots=True)
class RoleItem:
    """One role, by its UUID."""

    roles: RoleStore

    def on_get(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """The role."""
        key = require(req, MANAGE, USE)
        _only(req, set())
        answer_json(resp, _answer(key, self.roles.get(_uuid(role_id))))

    def on_put(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """Replace what the body names and leave the rest; answers with `warnings`."""
        require(req, MANAGE)
        _only(req, set())
        changes = parse(RoleChanges, read_json(req))
        role = self.roles.update(_uuid(role_id), changes)
        answer_json(resp, _answer_change(self.roles, role))


def _manages(key: ApiKey) -> bool:
    return not key.scopes.isdisjoint({MANAGE, "admin"})


def _may_read(key: ApiKey, role: Role) -> bool:
    return _manages(key) or not key.roles or role.id in key.roles or role.name in key.roles


def _answer(key: ApiKey, role: Role) -> dict[str, Any]:
    if not _may_read(key, role):
        raise NotFoundError("there is no such role among those that this API key may provision")
    return role_response(role) if _manages(key) else {"id": role.id, "name": role.name}


def _answer_change(roles: RoleStore, role: Role) -> dict[str, Any]:
    return role_response(role, warnings_of(effective(roles.chain(role))))


def _uuid(role_id: str) -> str:
    if not is_uuid(role_id):
        raise NotFoundError(
            "a role's address ends in its UUID; GET /mgmt/v1/roles?name= finds one by its name"
        )
    return role_id.lower()


def _name(req: falcon.Request) -> str:
    name = req.params["name"]
    if not isinstance(name, str) or not name:
        raise InputError("name", "give one name, once")
    return name


def _only(req: falcon.Request, known: Set[str]) -> None:
    """Raises InputError for a query parameter that would otherwise be ignored."""
    unknown = sorted(req.params.keys() - known)
    if unknown:
        raise InputError(
            unknown[0],
            f"is not a query parameter here; {'only name is' if known else 'there are none'}",
        )
