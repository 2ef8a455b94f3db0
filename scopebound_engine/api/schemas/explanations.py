"""Why a recorded decision came out as it did."""

from typing import Any, Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Uuid


@with_config(EXACT)
class FactRead(TypedDict):
    """A value that a rule read: `path` as a policy writes it, such as `input.call_args.limit`.

    `state` says whether it was there; `whole` is false where it is cut to a bounded size.
    """

    path: str
    state: Literal["known", "absent", "unknown"]
    value: Any
    whole: bool


@with_config(EXACT)
class RuleCondition(TypedDict):
    """An expression of a rule and the values it saw.

    `because` are the conditions of the rules it asks which decided it.
    """

    file: str
    line: int
    column: int
    text: str
    state: Literal["held", "failed", "unreached"]
    values: list[FactRead]
    because: "list[RuleCondition]"


@with_config(EXACT)
class FiredRule(TypedDict):
    """A rule that denied: where it begins, its source, its conditions, and the facts it read."""

    code: str
    file: str
    line: int
    source: list[str]
    conditions: list[RuleCondition]
    facts: list[FactRead]


@with_config(EXACT)
class NearlyFiredRule(TypedDict):
    """A rule that did not deny: how many of its conditions held, and the first that failed."""

    codes: list[str]
    file: str
    line: int
    held: int
    conditions: int
    failed: RuleCondition


@with_config(EXACT)
class ExplainedViolation(TypedDict):
    """A violation as the policy wrote it."""

    code: str
    severity: str
    reason: str
    retry_guidance: str
    retry_after_seconds: NotRequired[int]


@with_config(EXACT)
class Change(TypedDict):
    """One thing to be done: `says` in words, `assumes` what cannot be known from the record.

    `adds`: there was nothing before; `removes`: there is nothing after.
    """

    kind: Literal["argument", "delegation", "mcp_server", "tool", "wait", "provision", "role"]
    target: str
    before: Any
    after: Any
    says: str
    adds: bool
    removes: bool
    assumes: str


@with_config(EXACT)
class ChangedCall(TypedDict):
    """The call that is allowed then."""

    tool_name: str | None
    call_args: dict[str, Any]
    mcp_server: str | None


@with_config(EXACT)
class Changes(TypedDict):
    """Changes that together turn the denial."""

    changes: list[Change]
    call: ChangedCall


@with_config(EXACT)
class CounterfactualAnswer(TypedDict):
    """What turns a denial: the smallest change, and one of the role alone; null if none was found.

    `complete` is false where the search was cut short after so many `evaluations`; `unlike` says
    why nothing could be tried.
    """

    smallest: Changes | None
    by_role: Changes | None
    evaluations: int
    complete: bool
    unlike: str


@with_config(EXACT)
class ExplanationAnswer(TypedDict):
    """A decision as it is made now of the recorded input, which is as it was made then."""

    decision_id: Uuid
    decision: Literal["allow", "deny"]
    violations: list[ExplainedViolation]
    fired: list[FiredRule]
    nearly: list[NearlyFiredRule]
    counterfactual: CounterfactualAnswer | None
