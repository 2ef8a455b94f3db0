"""Records of the decision log on a server, as the commands that read it ask for them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import click

from scopebound_engine.cli.connect import connecting
from scopebound_engine.cli.remote import Server

DECISIONS: Final = "/mgmt/v1/decisions"
PAGE: Final = 500

server_options: Final = connecting("audit")

# By parameter of the API: the option, and what it means.
_FILTERS: Final = {
    "decision": ("--decision", "Only those that were allowed, or denied."),
    "deny_code": ("--code", "Only denials with this code as the primary one."),
    "event": ("--event", "Only this kind, such as tool_call.deny or role.updated."),
    "tool_name": ("--tool", "Only calls of this tool."),
    "role": ("--role", "Only what concerns this role, by its name or UUID."),
    "session_id": ("--session", "Only what concerns this session."),
    "call_id": ("--call-id", "Only this call."),
    "request_id": ("--request-id", "Only this request, by its X-Request-Id."),
    "api_key_id": ("--api-key-id", "Only requests with this API key, by its id."),
    "node": ("--node", "Only records of this node."),
    "since": ("--since", "Only from this time on, such as 2026-04-29T12:00:00Z."),
    "until": ("--until", "Only before this time."),
}
_CHOICES: Final = {"decision": click.Choice(["allow", "deny"])}

# A line of a journal: its `chain` and its `record`.
Line = Mapping[str, Any]
_R = TypeVar("_R")


def filter_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command an option for each filter, named as the API's parameter."""
    for name, (flag, meaning) in reversed(_FILTERS.items()):
        command = click.option(flag, name, type=_CHOICES.get(name), help=meaning)(command)
    return command


def records(server: Server, filters: Mapping[str, str | None], page: int = PAGE) -> Iterator[Line]:
    """What fits, newest first, so many at a time. Raises RemoteError."""
    asked = {name: value for name, value in filters.items() if value} | {"limit": str(page)}
    cursor: str | None = ""
    while cursor is not None:
        if cursor:
            asked["cursor"] = cursor
        answer = server.done("GET", f"{DECISIONS}?{urlencode(asked)}")
        yield from answer["decisions"]
        cursor = answer["next"]
