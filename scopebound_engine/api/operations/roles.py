"""Roles: what agents of a kind may do."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Literal

from scopebound_engine.api.examples import roles as examples
from scopebound_engine.api.openapi import Answer, Body, Operation
from scopebound_engine.api.operations.parameters import query
from scopebound_engine.api.operations.statuses import (
    ASKED,
    CONFLICT,
    CREATED,
    NOT_FOUND,
    OK,
    WRITING,
)
from scopebound_engine.api.roles import RoleCollection, RoleItem
from scopebound_engine.api.schemas import roles as schemas
from scopebound_engine.role.fields import RoleChanges, RoleFields
from scopebound_engine.role.model import Suspension

_WHY: Final = Body(Suspension, examples.SUSPENSION, required=False)
ROLE_ID: Final = {
    "name": "role_id",
    "in": "path",
    "required": True,
    "description": "The role's UUID.",
    "schema": {"type": "string", "format": "uuid"},
    "example": examples.ROLE_ID,
}
_ROLE_NAME: Final = query(
    "name", "The name of one role, which is then answered itself.", type="string", minLength=1
)
# Where an answer's fields go next, for clients and tests that walk the API.
_TO_ROLE: Final = {
    name: {"operationId": name, "parameters": {"role_id": "$response.body#/id"}}
    for name in (
        *("getRole", "getBaseline", "updateRole"),
        *("suspendRole", "resumeRole", "revokeSessionsOfRole", "deleteRole"),
    )
}
_TO_SESSION: Final = {
    "provision": {"operationId": "provision", "requestBody": {"role_id": "$response.body#/id"}}
}

_SUFFIXES: Final = {
    "suspendRole": "/suspend",
    "resumeRole": "/resume",
    "revokeSessionsOfRole": "/revoke-sessions",
}


def _on_role(
    name: str,
    method: Literal["get", "post", "put", "delete"],
    responder: Callable[..., None],
    answer: Answer,
    problems: tuple[HTTPStatus, ...],
    **more: Any,
) -> Operation:
    suffix = _SUFFIXES.get(name, "")
    return Operation(
        id=name,
        method=method,
        path=f"/mgmt/v1/roles/{{role_id}}{suffix}",
        tag="roles",
        responder=responder,
        answers={OK: answer},
        problems=(*problems, NOT_FOUND),
        parameters=(ROLE_ID,),
        **more,
    )


OPERATIONS: Final = (
    Operation(
        id="listRoles",
        method="get",
        path="/mgmt/v1/roles",
        tag="roles",
        responder=RoleCollection.on_get,
        parameters=(_ROLE_NAME,),
        answers={
            OK: Answer(
                "The roles that the key may read, or the one named.",
                schemas.RoleList | schemas.RoleAnswer | schemas.RoleName,
                {"all": examples.ROLE_LIST, "named": examples.ROLE},
            )
        },
        problems=(*ASKED, NOT_FOUND),
        note="A key without the scope `roles` reads id and name.",
    ),
    Operation(
        id="createRole",
        method="post",
        path="/mgmt/v1/roles",
        tag="roles",
        responder=RoleCollection.on_post,
        body=Body(RoleFields, examples.ROLE_REQUEST),
        answers={
            CREATED: Answer(
                "The role.",
                schemas.ChangedRole,
                {"role": examples.CHANGED_ROLE},
                {"Location": "The path of the role."},
            )
        },
        problems=(*WRITING, CONFLICT),
        links={**_TO_ROLE, **_TO_SESSION},
    ),
    _on_role(
        "getRole",
        "get",
        RoleItem.on_get,
        Answer("The role.", schemas.RoleAnswer | schemas.RoleName, {"role": examples.ROLE}),
        ASKED,
        note="A key without the scope `roles` reads id and name.",
    ),
    _on_role(
        "updateRole",
        "put",
        RoleItem.on_put,
        Answer("The role, changed.", schemas.UpdatedRole, {"role": examples.UPDATED_ROLE}),
        WRITING,
        body=Body(RoleChanges, examples.ROLE_CHANGES),
    ),
    _on_role(
        "suspendRole",
        "post",
        RoleItem.on_post_suspend,
        Answer("The role, suspended.", schemas.RoleAnswer, {"role": examples.SUSPENDED_ROLE}),
        WRITING,
        body=_WHY,
    ),
    _on_role(
        "resumeRole",
        "post",
        RoleItem.on_post_resume,
        Answer("The role, in force.", schemas.RoleAnswer, {"role": examples.ROLE}),
        WRITING,
        body=_WHY,
    ),
    _on_role(
        "revokeSessionsOfRole",
        "post",
        RoleItem.on_post_revoke_sessions,
        Answer("They have ended.", schemas.EndedSessions, {"ended": examples.ENDED_SESSIONS}),
        WRITING,
        body=_WHY,
    ),
    _on_role(
        "deleteRole",
        "delete",
        RoleItem.on_delete,
        Answer("It is deleted.", schemas.DeletedRole, {"role": examples.DELETED_ROLE}),
        (*ASKED, CONFLICT),
    ),
)
