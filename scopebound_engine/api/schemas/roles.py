"""Roles."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Timestamp, Uuid
from scopebound_engine.role.fields import RoleFields


class RoleAnswer(RoleFields):
    """A role. Of its webhook secret only a hint is answered."""

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True, json_schema_extra={}
    )

    webhook_secret: Annotated[str, Field(exclude=True)] = ""
    id: Uuid
    default_ttl: int
    webhook_secret_hint: str
    suspended: bool
    suspended_reason: str | None
    created_at: Timestamp
    updated_at: Timestamp


class ChangedRole(RoleAnswer):
    """A role after a change, with what its author should know about it."""

    warnings: list[str]


class UpdatedRole(ChangedRole):
    """A role after an update, and how many live sessions still carry what it was before."""

    sessions_with_former_claims: int


@with_config(EXACT)
class RoleName(TypedDict):
    """What a key without the scope `roles` may know of a role."""

    id: Uuid
    name: str


@with_config(EXACT)
class RoleList(TypedDict):
    """The roles that the key may read."""

    count: int
    roles: list[RoleAnswer | RoleName]


@with_config(EXACT)
class DeletedRole(RoleName):
    """The role that was deleted."""

    deleted: Literal[True]


@with_config(EXACT)
class EndedSessions(RoleName):
    """A role, and how many sessions ended."""

    sessions_ended: int
