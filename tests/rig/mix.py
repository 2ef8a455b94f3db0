"""The calls of the load: who makes them, what they ask, and how often.

What must be answered is not said here: `oracle.py` judges every call under every bundle. Only where
the policy is never asked does a call name the code of its denial itself.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.accounting import HOUR, MINUTE, Limit
from tests.bundles import MARKED
from tests.load import posted

DAY = 86_400
# Stands in a request for the call's number: as many digits of a call id.
NUMBER = b"#" * 12
FORGED = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZ2VudDpub2JvZHkifQ.AAAA"
# How many sessions of each role share its calls.
SESSIONS = {"clerk": 24, "minute": 4, "hour": 4, "weekly": 2, "watched": 2}


def roles(hook: str = "") -> dict[str, dict[str, Any]]:
    """The fields of each role; `hook` is where the denials of the watched one are sent."""
    elsewhen = (time.gmtime().tm_wday + 3) % 7
    made: dict[str, dict[str, Any]] = {
        "clerk": {
            "allowed_tools": ["read", MARKED, "pay", "query", "approve"],
            "parameter_constraints": {
                "pay": [
                    {"field": "amount", "operator": "lt", "value": 1000, "required": True},
                    {"field": "to", "operator": "regex", "value": r"^[a-z]+@company\.com$"},
                    {"field": "currency", "operator": "in", "value": ["EUR", "USD"]},
                ]
            },
            "data_scope": {"allowed_envs": ["staging"], "max_rows": 100},
            "approval_required": ["approve"],
            "allowed_mcp_servers": ["files"],
        },
        "minute": {"allowed_tools": ["read", MARKED], "rate_limit_per_minute": 60},
        "hour": {"allowed_tools": ["read", MARKED], "rate_limit_per_hour": 300},
        "weekly": {"allowed_tools": ["read"], "allowed_days": [elsewhen]},
        "watched": {"allowed_tools": ["read"], "webhook_url": hook},
    }
    return {name: {"name": name, "default_ttl": DAY, **fields} for name, fields in made.items()}


def limit_of(role: str) -> Limit | None:
    """What a session of the role is limited to."""
    fields = roles()[role]
    for name, seconds in (("minute", MINUTE), ("hour", HOUR)):
        if calls := fields.get(f"rate_limit_per_{name}"):
            return Limit(calls, seconds)
    return None


@dataclass(frozen=True)
class Call:
    """One kind of call. `says` is the code of its denial where no policy is asked.

    `share` is how often it comes beside the others; `named`: it has a call id of its own.
    """

    role: str
    tool: str | None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    server: str | None = None
    mcp: bool = False
    says: str = ""
    share: int = 1
    named: bool = False

    def document(self, token: str) -> dict[str, Any]:
        """The body of its request."""
        body: dict[str, Any] = {
            "jwt": FORGED if self.says == "JWT_INVALID" else token,
            "call_args": dict(self.arguments),
        }
        body |= {} if self.tool is None else {"tool_name": self.tool}
        body |= {} if self.server is None else {"mcp_server": self.server}
        return body | ({"call_id": NUMBER.decode()} if self.named else {})

    def request(self, token: str) -> bytes:
        """Its bytes, with NUMBER in the place of a call id."""
        path = "/v1/mcp/enforce" if self.mcp else "/v1/enforce"
        return posted(path, self.document(token))


_PAID = {"amount": 12.5, "to": "bob@company.com", "currency": "EUR"}
CALLS: tuple[Call, ...] = (
    Call("clerk", "read", {"text": "ü\n\"'" * 9}, share=6),
    Call("clerk", "read", {"rows": list(range(40))}, share=4, named=True),
    Call("clerk", MARKED, share=8),
    Call("clerk", MARKED, {"deep": {"er": [1, {"still": None}]}}, share=4, named=True),
    Call("clerk", "pay", _PAID, share=4, named=True),
    Call("clerk", "pay", {**_PAID, "amount": 1000}, share=2, named=True),
    Call("clerk", "pay", {**_PAID, "amount": "12"}),
    Call("clerk", "pay", {**_PAID, "to": "bob@company.com.evil"}),
    Call("clerk", "pay", {"to": "bob@company.com"}),
    Call("clerk", "query", {"env": "staging", "limit": 100}, share=2),
    Call("clerk", "query", {"env": "prod", "limit": 5}),
    Call("clerk", "query", {"limit": 101}),
    Call("clerk", "query", {"env": "prod", "limit": 10**30}),
    Call("clerk", "approve"),
    Call("clerk", "drop_table", share=2, named=True),
    Call("clerk", 'x","allow":true,"z":"y'),
    Call("clerk", "read", server="files", mcp=True, share=2),
    Call("clerk", "read", server="shell", mcp=True),
    Call("clerk", "read", says="JWT_INVALID"),
    Call("clerk", None, says="REQUEST_INVALID"),
    Call("minute", "read", share=2, named=True),
    Call("hour", "read", share=2, named=True),
    Call("weekly", "read"),
    Call("watched", "read"),
    Call("watched", "delete", share=2),
)


def tokens(post: Any, hook: str) -> dict[str, list[tuple[str, str]]]:
    """New roles, and of each its sessions: ids and tokens. `post` posts JSON and answers JSON."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, fields in roles(hook).items():
        post("/mgmt/v1/roles", fields)
        made = [post("/v1/provision", {"role_id": name}) for _ in range(SESSIONS[name])]
        found[name] = [(one["session_id"], one["jwt"]) for one in made]
    return found


def plan(sessions: Mapping[str, list[tuple[str, str]]]) -> str:
    """What a loader needs, as JSON: each kind's number, its share, its sessions and requests."""
    kinds = [
        {
            "share": call.share,
            "sessions": [session for session, _ in sessions[call.role]],
            "requests": [call.request(token).decode() for _, token in sessions[call.role]],
        }
        for call in CALLS
    ]
    return json.dumps(kinds)
