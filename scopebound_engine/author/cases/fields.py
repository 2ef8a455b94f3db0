"""What a case file may hold, as values: the fields of a case, checked as a whole."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from scopebound_engine.errors import InputError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.verdict import RetryGuidance, Severity

# A Wednesday: no case depends on the clock of whoever runs it.
NOON: Final = "2026-11-18T12:00:00Z"


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class CallFields(_Fields):
    """A call, as the API takes it; one with an `mcp_server` is an MCP call."""

    tool_name: str
    call_args: dict[str, Any] = Field(default_factory=dict)
    mcp_server: str | None = None


class SpawnFields(_Fields):
    """The session that is asked for: the name of its role under `roles`."""

    role: str
    ttl_seconds: int = 600


class Expected(_Fields):
    """A denial. `deny` is its first code, `codes` are all, first one first, `reason` a part of it.

    What is not said may be anything. No code: an allow.
    """

    deny: str = ""
    severity: Severity | None = None
    retry_guidance: RetryGuidance | None = None
    reason: str | None = None
    codes: tuple[str, ...] | None = Field(default=None, strict=False)


class CaseFields(_Fields):
    """One case. `at` is when the call is made, `provisioned` when its session began.

    `session` overrides facts of the session, in the form that the Rego input has.
    """

    name: str = Field(min_length=1, max_length=200)
    input: dict[str, Any] | None = None
    role: str | dict[str, Any] | None = None
    call: CallFields | None = None
    spawn: SpawnFields | None = None
    at: str = NOON
    provisioned: str | None = None
    session: dict[str, Any] = Field(default_factory=dict)
    expect: Expected | Literal["allow"]

    @field_validator("expect", mode="before")
    @classmethod
    def _denial_or_allow(cls, value: Any) -> Any:
        if value == "allow":
            return Expected()
        if isinstance(value, dict) and isinstance(value.get("deny"), str) and value["deny"]:
            try:
                return parse(Expected, value)
            except InputError as error:
                raise InputError(f"expect.{error.field}", error.detail) from error
        raise ValueError("must be allow, or an object with the code of a denial as `deny`")

    @field_validator("at", "provisioned")
    @classmethod
    def _is_moment(cls, value: str | None) -> str | None:
        if value is not None:
            moment_of(value)
        return value

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.input is not None:
            given = {
                "role",
                "call",
                "spawn",
                "at",
                "provisioned",
                "session",
            } & self.model_fields_set
            if given:
                raise ValueError(f"`input` is all facts; leave out {', '.join(sorted(given))}")
        elif self.role is None or (self.call is None) is (self.spawn is None):
            raise ValueError("needs `input`, or a `role` with a `call` or a `spawn`")
        return self


def moment_of(text: str) -> int:
    """The epoch seconds of an RFC 3339 time in UTC. Raises ValueError."""
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp())
    except ValueError as error:
        raise ValueError(f'must be a time like "{NOON}"') from error


def role_of(item: Mapping[str, Any], name: str) -> RoleFields:
    """A role's fields. Raises InputError."""
    return parse(RoleFields, {"name": name, **item})
