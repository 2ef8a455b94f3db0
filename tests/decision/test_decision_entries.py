"""How a call enters its session: its slot, its server's limit, and what makes it the same call."""

from dataclasses import replace
from typing import Any

import pytest

from scopebound_engine import strict_json
from scopebound_engine.decision.entries import entry_of
from scopebound_engine.decision.facts import Call
from scopebound_engine.session.state.seam import Entry

CLAIMS: dict[str, Any] = {
    "jti": "s",
    "role_id": "r",
    "rate_limit_per_minute": 30,
    "rate_limit_per_hour": 500,
    "allowed_tools": ["read", "send"],
    "bound": {"mcp_server_rate_limits": {"files": 60}},
}
CALL = Call("mcp_tool_call", "read", {"a": 1, "b": [2]}, "call-1", "files", named=True)


def test_a_call_enters_its_session_with_the_limits_of_its_token() -> None:
    entry = entry_of(Call("tool_call", "send", {}, "made-here"), CLAIMS)
    assert entry == Entry("s", "r", 30, 500, slot=1, slots=3)


@pytest.mark.parametrize(("tool", "slot"), [("read", 0), ("send", 1), ("Read", 2), ("", 2)])
def test_a_tool_has_its_place_and_all_that_are_not_allowed_share_the_last(
    tool: str, slot: int
) -> None:
    entry = entry_of(replace(CALL, tool_name=tool), CLAIMS)
    assert (entry.slot, entry.slots) == (slot, 3)


def test_without_allowed_tools_there_is_one_place() -> None:
    entry = entry_of(CALL, CLAIMS | {"allowed_tools": []})
    assert (entry.slot, entry.slots) == (0, 1)


@pytest.mark.parametrize(
    ("server", "bound", "expected"),
    [
        ("files", {"mcp_server_rate_limits": {"files": 60}}, ("files", 60)),
        ("mail", {"mcp_server_rate_limits": {"files": 60}}, (None, 0)),
        (None, {"mcp_server_rate_limits": {"files": 60}}, (None, 0)),
        ("files", {"mcp_server_rate_limits": {}}, (None, 0)),
        ("files", {}, (None, 0)),
    ],
)
def test_a_server_has_a_bucket_where_the_token_limits_it(
    server: str | None, bound: dict[str, Any], expected: tuple[str | None, int]
) -> None:
    entry = entry_of(replace(CALL, mcp_server=server), CLAIMS | {"bound": bound})
    assert (entry.server, entry.per_server) == expected


def test_only_an_id_of_the_client_can_come_again() -> None:
    assert entry_of(CALL, CLAIMS).call_id == "call-1"
    made = entry_of(replace(CALL, named=False), CLAIMS)
    assert (made.call_id, made.digest) == (None, "")


def digest(**changes: Any) -> str:
    return entry_of(replace(CALL, **changes), CLAIMS).digest


@pytest.mark.parametrize(
    "change",
    [
        {"action": "tool_call"},
        {"tool_name": "send"},
        {"mcp_server": "mail"},
        {"mcp_server": None},
        {"call_args": {"a": 1}},
        {"call_args": {"a": 1, "b": ["2"]}},
        {"call_args": {"a": True, "b": [2]}},
        {"call_args": {"a": 1.5, "b": [2]}},
        {"call_args": {"a": 1, "b": [2], "c": None}},
    ],
    ids=str,
)
def test_another_call_has_another_digest(change: dict[str, Any]) -> None:
    assert digest(**change) != digest()


@pytest.mark.parametrize("body", [b'{"b": [2], "a": 1}', b'{"a":1.0,"b":[2e0]}'])
def test_another_spelling_is_the_same_call(body: bytes) -> None:
    assert digest(call_args=strict_json.loads(body)) == digest()


def test_the_digest_is_not_of_the_id() -> None:
    assert digest(call_id="call-2") == digest()
