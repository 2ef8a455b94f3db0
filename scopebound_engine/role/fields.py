"""What a request may carry of a role: everything when it is made, some of it when it is changed.

`parse(RoleFields, value)` checks the body of a POST, `parse(RoleChanges, value)` that of a PUT.
"""

from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from scopebound_engine.errors import InputError
from scopebound_engine.parsing import parse
from scopebound_engine.role import schema
from scopebound_engine.role.values import (
    MAX_COUNT,
    MAX_TTL_SECONDS,
    MIN_TTL_SECONDS,
    Array,
    Constraint,
    Count,
    DataScope,
    Days,
    Hour,
    MaskedArguments,
    Name,
    Seconds,
    Secret,
    Values,
    WebAddress,
    Word,
    Words,
)
from scopebound_engine.strict_json import dumps

DEFAULT_TTL_SECONDS: Final = 3_600
MAX_DELEGATION_DEPTH: Final = 100


def _other_spellings(published: JsonDict) -> None:
    schema.with_other_spellings(published, DataScope.model_json_schema()["properties"])


class _Settings(Values):
    """The fields a POST and a PUT share; 0, an empty string and an empty array mean none."""

    model_config = ConfigDict(json_schema_extra=_other_spellings)

    description: Annotated[str, Field(max_length=4_096)] = ""
    allowed_tools: Words = ()
    default_ttl_seconds: Annotated[int, Field(ge=MIN_TTL_SECONDS, le=MAX_TTL_SECONDS)] = (
        DEFAULT_TTL_SECONDS
    )
    max_delegation_depth: Annotated[int, Field(ge=0, le=MAX_DELEGATION_DEPTH)] = 0
    rate_limit_per_minute: Count = 0
    rate_limit_per_hour: Count = 0
    parent_role_id: Annotated[str, Field(max_length=128)] = ""
    parameter_constraints: Annotated[
        dict[Word, Annotated[tuple[Constraint, ...], Array, Field(max_length=64)]],
        Field(max_length=512),
    ] = Field(default_factory=dict)
    allowed_hours_start: Hour = 0
    allowed_hours_end: Hour = 0
    allowed_days: Days = ()
    data_scope: DataScope = DataScope()
    webhook_url: WebAddress = ""
    webhook_secret: Secret = ""
    approval_required: Words = ()
    approval_ttl_seconds: Seconds = 0
    allowed_mcp_servers: Words = ()
    log_mask: MaskedArguments = Field(
        default=(),
        description="What of a call's arguments is masked in the decision log: JSON pointers, in "
        "which * is every item. A role also masks what its ancestors do.",
    )
    mcp_server_rate_limits: Annotated[
        dict[Word, Annotated[int, Field(ge=1, le=MAX_COUNT)]], Field(max_length=512)
    ] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, value: Any) -> Any:
        """Folds the published client's other spellings: `default_ttl`, and data_scope laid flat."""
        if not isinstance(value, dict):
            return value
        fields = dict(value)
        _fold(fields, "default_ttl", fields, "default_ttl_seconds")
        scope = fields.get("data_scope", {})
        flat = [name for name in DataScope.model_fields if name in fields]
        if flat and isinstance(scope, dict):
            fields["data_scope"] = scope = dict(scope)
            for name in flat:
                _fold(fields, name, scope, name)
        return fields


def _fold(source: dict[str, Any], spelling: str, target: dict[str, Any], name: str) -> None:
    if spelling not in source:
        return
    value = source.pop(spelling)
    if name in target and dumps(target[name]) != dumps(value):
        raise InputError(spelling, f"is given twice with different values; give only {name}")
    target[name] = value


class RoleFields(_Settings):
    """Everything the body of POST /mgmt/v1/roles may carry, complete and checked as a whole."""

    name: Name

    @model_validator(mode="after")
    def _opens_some_time(self) -> Self:
        if self.allowed_hours_start == self.allowed_hours_end != 0:
            raise InputError(
                "allowed_hours_end",
                "must differ from allowed_hours_start; set both to 0 for no restriction",
            )
        return self

    def document(self) -> dict[str, Any]:
        """These fields as a JSON value that `parse(RoleFields, …)` takes back; with the secret."""
        return self.model_dump(mode="json", include=set(RoleFields.model_fields))


def _changes(published: JsonDict) -> None:
    _other_spellings(published)
    schema.without_defaults(published)


class RoleChanges(_Settings):
    """The body of PUT /mgmt/v1/roles/{id}: what it names replaces, everything else stays."""

    model_config = ConfigDict(json_schema_extra=_changes)

    name: Name = ""

    def applied_to(self, role: RoleFields) -> RoleFields:
        """The role's fields after the change, checked again as a whole.

        The two fields of data_scope are replaced one by one. Raises InputError, for a new name too.
        """
        changed = self.model_dump(mode="json", exclude_unset=True)
        if changed.get("name", role.name) != role.name:
            raise InputError("name", "cannot be changed; create another role for a new name")
        before = role.document()
        scope = before["data_scope"] | changed.pop("data_scope", {})
        return parse(RoleFields, before | changed | {"data_scope": scope})
