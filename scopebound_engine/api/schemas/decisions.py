"""Records of the decision log, and usage in numbers."""

from typing import Any

from pydantic import with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Timestamp


@with_config(EXACT)
class Link(TypedDict):
    """A record's place in its node's chain: `prev` is the SHA-256 of the line before it."""

    node: str
    prev: str
    seq: int


@with_config(EXACT)
class DecisionLine(TypedDict):
    """A line of a node's journal: a record, whose fields the README lists, and its place."""

    chain: Link
    record: dict[str, Any]


@with_config(EXACT)
class DecisionPage(TypedDict):
    """Records, newest first; `next` is the `cursor` of the next page, null at the end."""

    count: int
    decisions: list[DecisionLine]
    next: str | None


@with_config(EXACT)
class DeniedTool(TypedDict):
    """A tool, and how often it was denied."""

    tool_name: str
    deny_count: int


@with_config(EXACT)
class HourOfCalls(TypedDict):
    """The calls of an hour, as far as it lies in the window."""

    hour: Timestamp
    allow_count: int
    deny_count: int


@with_config(EXACT)
class UsageAnswer(TypedDict):
    """Calls of a window: at most ten of the tools, and every hour that the window touches.

    `unnamed_deny_count` are denials that are counted for no tool. It is 0 unless an hour had more
    than a hundred denied tools, or calls without a tool's name; a tool's own number is at most that
    much too low.
    """

    window_hours: int
    total_calls: int
    allow_count: int
    deny_count: int
    allow_rate: float
    deny_rate: float
    top_denied_tools: list[DeniedTool]
    unnamed_deny_count: int
    calls_by_hour: list[HourOfCalls]
