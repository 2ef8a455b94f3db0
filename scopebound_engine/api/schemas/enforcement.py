"""Tool calls, sessions and decisions."""

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

from scopebound_engine.api.schemas.problems import Problem
from scopebound_engine.api.schemas.values import EXACT, Timestamp, Uuid
from scopebound_engine.role.schema import WITHOUT_CONTROLS
from scopebound_engine.verdict import RetryGuidance, Severity

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
        default=None,
        description="Comes back in the answer; empty or null: one is made. A call that comes again "
        "with its id within 30 s, up to three times, takes no tokens and is decided from the facts "
        "that it found first. Another call with that id is refused.",
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
    parent_session_id: str | None = Field(
        default=None,
        description="The session that spawns this one, if the policy lets it; empty or null: none.",
    )


@with_config(EXACT)
class Session(TypedDict):
    """A session and its token."""

    jwt: str
    session_id: Uuid
    expires_at: Timestamp


@with_config(EXACT)
class Violation(TypedDict):
    """One rule that fired; `retry_after_seconds` comes with the guidance `wait`."""

    code: str
    severity: Severity
    reason: str
    retry_guidance: RetryGuidance
    retry_after_seconds: NotRequired[int]


class _Decided(TypedDict):
    decision_id: NotRequired[
        Annotated[Uuid, Field(description="Of its record; missing where it could not be recorded.")]
    ]
    call_id: str
    latency_ms: float
    replayed: NotRequired[Literal[True]]
    bundle_id: NotRequired[Uuid]
    bundle_version: NotRequired[str]
    bundle_checksum: NotRequired[str]
    bundle_generation: NotRequired[int]


@with_config(EXACT)
class Allow(_Decided):
    """The call may run."""

    decision: Literal["allow"]


@with_config(EXACT)
class Denial(_Decided):
    """The call must not run: the primary violation, and in `violations` all of them."""

    decision: Literal["deny"]
    deny_code: str
    severity: Severity
    reason: str
    retry_guidance: RetryGuidance
    retry_after_seconds: NotRequired[int]
    violations: list[Violation]


@with_config(EXACT)
class RefusedDelegation(Problem, Denial):
    """A problem that carries the denial: the policy does not let the session spawn this one."""


Decision = Annotated[Allow | Denial, Field(discriminator="decision")]
