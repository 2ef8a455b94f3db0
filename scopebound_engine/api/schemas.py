"""What goes over the wire, as types: requests, decisions, documents, problems.

The published description is generated from these types and from those of `role/model.py`. Bodies
of the enforce endpoints and of provision are checked by hand, for speed and for their sentences;
`tests/api/test_api_openapi.py` holds those checks and these types against each other.
"""

from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,  # pydantic takes typing's from Python 3.12 on
)

from pydantic import BaseModel, ConfigDict, Field, with_config
from pydantic.config import JsonDict
from typing_extensions import TypedDict

from scopebound_engine.decision.verdict import RetryGuidance, Severity
from scopebound_engine.role.model import RoleFields
from scopebound_engine.role.schema import WITHOUT_CONTROLS

_EXACT: Final = ConfigDict(extra="forbid")

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]

_ONE_OF_TWO: Final[JsonDict] = {
    "oneOf": [{"required": ["call_args"]}, {"required": ["arguments"]}],
}


class ToolCall(BaseModel):
    """A tool call to judge. Exactly one of `call_args` and `arguments`; other fields are ignored.

    A body that does not fit is answered with 200 and the denial REQUEST_INVALID, whose reason names
    the field. Only a `jwt` that is missing or no string is a 400.
    """

    model_config = ConfigDict(json_schema_extra=_ONE_OF_TWO)

    jwt: Annotated[str, Field(description="What /v1/provision answered.")]
    tool_name: Annotated[
        str, Field(min_length=1, max_length=256, json_schema_extra=WITHOUT_CONTROLS)
    ]
    call_args: dict[str, Any] = Field(
        default_factory=dict, description="The arguments of the call."
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="The same, in the word of MCP."
    )
    call_id: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="Comes back in the answer; empty or null: one is made."
    )


class McpToolCall(ToolCall):
    """A call of an MCP server's tool. Exactly one of `call_args` and `arguments` is needed."""

    mcp_server: str | None = Field(default=None, description="The server the tool belongs to.")


class SessionRequest(BaseModel):
    """The session that is wanted. Other fields are ignored."""

    role_id: Annotated[str, Field(min_length=1, description="The role's UUID or its name.")]
    requested_ttl: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Seconds; 0 or null: the role's. It shortens, not below a minute.",
    )
    parent_session_id: Literal[""] | None = Field(
        default=None, description="Sessions of sub-agents are not offered by this version."
    )


@with_config(_EXACT)
class Session(TypedDict):
    """A session and its token."""

    jwt: str
    session_id: Uuid
    expires_at: Timestamp


@with_config(_EXACT)
class Violation(TypedDict):
    """One rule that fired; `retry_after_seconds` comes with the guidance `wait`."""

    code: str
    severity: Severity
    reason: str
    retry_guidance: RetryGuidance
    retry_after_seconds: NotRequired[int]


class _Decided(TypedDict):
    call_id: str
    latency_ms: float
    bundle_id: NotRequired[Uuid]
    bundle_version: NotRequired[str]
    bundle_checksum: NotRequired[str]


@with_config(_EXACT)
class Allow(_Decided):
    """The call may run."""

    decision: Literal["allow"]


@with_config(_EXACT)
class Denial(_Decided):
    """The call must not run: the primary violation, and in `violations` all of them."""

    decision: Literal["deny"]
    deny_code: str
    severity: Severity
    reason: str
    retry_guidance: RetryGuidance
    retry_after_seconds: NotRequired[int]
    violations: list[Violation]


Decision = Annotated[Allow | Denial, Field(discriminator="decision")]


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


@with_config(_EXACT)
class RoleName(TypedDict):
    """What a key without the scope `roles` may know of a role."""

    id: Uuid
    name: str


@with_config(_EXACT)
class RoleList(TypedDict):
    """The roles that the key may read."""

    count: int
    roles: list[RoleAnswer | RoleName]


@with_config(_EXACT)
class DeletedRole(RoleName):
    """The role that was deleted."""

    deleted: Literal[True]


@with_config(_EXACT)
class ApiKeyAnswer(TypedDict):
    """An API key without its secret, of which only a hash is stored."""

    id: Uuid
    name: str
    hint: str
    scopes: list[str]
    roles: list[str]
    created_at: Timestamp
    last_used_at: Timestamp | None
    revoked_at: Timestamp | None


@with_config(_EXACT)
class CreatedApiKey(ApiKeyAnswer):
    """An API key and its secret, which is shown this once."""

    api_key: str


@with_config(_EXACT)
class ApiKeyList(TypedDict):
    """All keys, revoked ones too, eldest first."""

    count: int
    api_keys: list[ApiKeyAnswer]


@with_config(_EXACT)
class NodeHealth(TypedDict):
    """Can this node decide? `down` when not, `degraded` when something is missing."""

    status: Literal["ok", "degraded", "down"]
    sprint: str
    uptime_seconds: int
    bundle_version: str | None
    bundle_last_synced_at: Timestamp
    db_status: Literal["ok", "down"]


@with_config(_EXACT)
class PublicKey(TypedDict):
    """An RSA public key (RFC 7517)."""

    kty: Literal["RSA"]
    use: Literal["sig"]
    alg: Literal["RS256"]
    kid: str
    n: str
    e: str


@with_config(_EXACT)
class KeySet(TypedDict):
    """The public keys that session tokens are verified with."""

    keys: list[PublicKey]


@with_config(_EXACT)
class Problem(TypedDict):
    """What went wrong and what to do about it (RFC 9457); `instance` is the request's id."""

    type: str
    title: str
    status: int
    detail: str
    instance: Uuid
    field: NotRequired[Annotated[str, Field(description="Dotted path of the unfit field.")]]
