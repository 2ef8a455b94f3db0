"""Roles as values: what a request may carry, what is stored, what is answered.

`parse(RoleFields, value)` checks the body of a POST, `parse(RoleChanges, value)` that of a PUT;
types are strict ("5" is not 5, true is not a number) and unknown fields are mistakes.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from scopebound_engine import masking
from scopebound_engine.addresses import web_address
from scopebound_engine.errors import InputError
from scopebound_engine.matching.patterns import compile_pattern
from scopebound_engine.parsing import parse
from scopebound_engine.role import schema
from scopebound_engine.strict_json import dumps, type_name
from scopebound_engine.times import timestamp

__all__ = [
    "Constraint",
    "DataScope",
    "Role",
    "RoleChanges",
    "RoleFields",
    "Suspension",
    "is_uuid",
    "parse",
    "role_response",
]

MIN_TTL_SECONDS: Final = 60
MAX_TTL_SECONDS: Final = 86_400
DEFAULT_TTL_SECONDS: Final = 3_600
MAX_COUNT: Final = 1_000_000_000
MAX_DELEGATION_DEPTH: Final = 100
MIN_SECRET_LENGTH: Final = 16  # the hint shows half of the shortest one
HINT_LENGTH: Final = 8

# The client and provision take names of this shape for ids.
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
_NAME: Final = re.compile(r"[ -~]{1,128}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def is_uuid(text: str) -> bool:
    """Whether a text has the shape of a UUID, in the spelling the client looks for."""
    return _UUID.fullmatch(text) is not None


def _without_controls(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


def _role_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be 1 to 128 printable ASCII characters")
    if is_uuid(text):
        raise ValueError("must not look like a UUID, which would be taken for an id")
    return text


def _without_duplicates(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _each_day_once(days: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(days)) != len(days):
        raise ValueError("must not name a day twice")
    return days


def _web_address(url: str) -> str:
    if url:
        web_address(url)
    return url


def _long_enough(secret: str) -> str:
    if secret and len(secret) < MIN_SECRET_LENGTH:
        raise ValueError(f"must have at least {MIN_SECRET_LENGTH} characters, or be empty")
    return secret


def _into_arguments(text: str) -> str:
    try:
        masking.pointer(_without_controls(text))
    except InputError as error:
        raise ValueError(error.detail) from error
    return text


# Arrays arrive as lists and are kept as tuples: strictness is given up for the container alone.
_Array = Field(strict=False)
Name = Annotated[str, Field(json_schema_extra=schema.PRINTABLE_NAME), AfterValidator(_role_name)]
Word = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra=schema.WITHOUT_CONTROLS),
    AfterValidator(_without_controls),
]
Words = Annotated[
    tuple[Word, ...], _Array, Field(max_length=512), AfterValidator(_without_duplicates)
]
Masked = Annotated[
    str,
    Field(max_length=256, json_schema_extra=schema.INTO_ARGUMENTS),
    AfterValidator(_into_arguments),
]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Seconds = Annotated[int, Field(ge=0, le=MAX_TTL_SECONDS)]
Hour = Annotated[int, Field(ge=0, le=23)]
Day = Annotated[int, Field(ge=0, le=6)]


class _Values(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Constraint(_Values):
    """What one argument of a tool has to satisfy; skipped when absent, unless it is required."""

    model_config = ConfigDict(json_schema_extra=schema.VALUE_FITS_OPERATOR)

    field: Word
    operator: Literal["eq", "lt", "gt", "contains", "regex", "in"]
    value: Any
    required: bool = False

    @field_validator("value")
    @classmethod
    def _fits_operator(cls, value: Any, info: ValidationInfo) -> Any:
        operator = info.data.get("operator")
        if operator in ("lt", "gt") and type(value) not in (int, float):
            raise ValueError(f"must be a number for {operator}, not {type_name(value)}")
        if operator in ("contains", "regex") and not (isinstance(value, str) and value):
            raise ValueError(f"must be a non-empty string for {operator}")
        if operator == "in" and not isinstance(value, list):
            raise ValueError(f"must be an array for in, not {type_name(value)}")
        if operator == "regex":
            _compilable(value)
        return value


def _compilable(pattern: str) -> None:
    try:
        compile_pattern(pattern)
    except InputError as error:
        raise ValueError(error.detail) from error


class DataScope(_Values):
    """Environments a role may operate in (none: all) and rows a call may ask for (0: any)."""

    allowed_envs: Words = ()
    max_rows: Count = 0


def _other_spellings(published: JsonDict) -> None:
    schema.with_other_spellings(published, DataScope.model_json_schema()["properties"])


class _Settings(_Values):
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
        dict[Word, Annotated[tuple[Constraint, ...], _Array, Field(max_length=64)]],
        Field(max_length=512),
    ] = Field(default_factory=dict)
    allowed_hours_start: Hour = 0
    allowed_hours_end: Hour = 0
    allowed_days: Annotated[
        tuple[Day, ...],
        _Array,
        Field(json_schema_extra=schema.EACH_ONCE),
        AfterValidator(_each_day_once),
    ] = ()
    data_scope: DataScope = DataScope()
    webhook_url: Annotated[
        str,
        Field(max_length=2_048, json_schema_extra=schema.WEB_ADDRESS),
        AfterValidator(_web_address),
    ] = ""
    webhook_secret: Annotated[
        str,
        Field(max_length=512, repr=False, json_schema_extra=schema.LONG_ENOUGH),
        AfterValidator(_long_enough),
    ] = ""
    approval_required: Words = ()
    approval_ttl_seconds: Seconds = 0
    allowed_mcp_servers: Words = ()
    log_mask: Annotated[
        tuple[Masked, ...], _Array, Field(max_length=64), AfterValidator(_without_duplicates)
    ] = Field(
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


class Role(RoleFields):
    """A stored role. `parent_role_id` is the parent's UUID, or empty; times are in UTC.

    `revision` counts changes of its fields. `suspended_reason` is None while it is in force.
    """

    id: str
    revision: int
    created_at: AwareDatetime
    updated_at: AwareDatetime
    suspended_reason: str | None = None


class Suspension(_Values):
    """The body of a suspension or of its end: why, for those who find the role so."""

    reason: Annotated[
        str,
        Field(max_length=256, json_schema_extra=schema.WITHOUT_CONTROLS),
        AfterValidator(_without_controls),
    ] = ""


def role_response(role: Role, warnings: Sequence[str] | None = None) -> dict[str, Any]:
    """A role as the API answers it: the reference's fields, and `warnings` after a change.

    The webhook secret is left out for its hint; a constraint has `required` only when set.
    """
    answer = role.document()
    secret = answer.pop("webhook_secret")
    answer |= {
        "id": role.id,
        "default_ttl": role.default_ttl_seconds,
        "parameter_constraints": {
            tool: [constraint.model_dump(mode="json", exclude_defaults=True) for constraint in all_]
            for tool, all_ in role.parameter_constraints.items()
        },
        "webhook_secret_hint": f"{secret[:HINT_LENGTH]}***" if secret else "",
        "suspended": role.suspended_reason is not None,
        "suspended_reason": role.suspended_reason,
        "created_at": timestamp(role.created_at),
        "updated_at": timestamp(role.updated_at),
    }
    return answer if warnings is None else answer | {"warnings": list(warnings)}
