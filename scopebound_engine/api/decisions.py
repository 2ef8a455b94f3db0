"""/mgmt/v1/decisions: the decision log in the database, all nodes' records, newest first.

What is answered of a record is the line of its node's journal: the record, and its place in the
chain.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import falcon

from scopebound_engine import strict_json
from scopebound_engine.access.model import AUDIT
from scopebound_engine.api import queries
from scopebound_engine.api.auth import require
from scopebound_engine.errors import InputError
from scopebound_engine.log.decisions import FILTERS, DecisionLog, Page, Search
from scopebound_engine.log.entries import Key
from scopebound_engine.role.values import is_uuid

PAGE: Final = 100
MOST: Final = 1_000
LONGEST_FILTER: Final = 300
# A place in the log: the time, number and node of the record before it.
CURSOR: Final = r"^[0-9]{1,18}/[0-9]{1,18}/[0-9A-Za-z_.-]{1,200}$"
_TIMES: Final = ("since", "until")
# `role` is a role's id or its name.
PARAMETERS: Final = frozenset(FILTERS) - {"role_id", "role_name"} | {"role", "limit", "cursor"}
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class DecisionCollection:
    """All records, by what they say."""

    log: DecisionLog

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Records that fit all of the filters, newest first; `next` is the cursor of the next page.

        A page may end before `limit` where its records are large.
        """
        require(req, AUDIT)
        queries.only(req, PARAMETERS | set(_TIMES))
        limit = queries.number(req, "limit", PAGE, MOST)
        page = self.log.page(_search(req), limit, _after(req))
        resp.content_type, resp.data = falcon.MEDIA_JSON, _answer(page)


@dataclass(frozen=True, slots=True)
class DecisionItem:
    """One record, by its id: what an enforce answer calls `decision_id`."""

    log: DecisionLog

    def on_get(self, req: falcon.Request, resp: falcon.Response, decision_id: str) -> None:
        """The record, and its place in its node's chain."""
        require(req, AUDIT)
        queries.only(req)
        resp.content_type, resp.data = falcon.MEDIA_JSON, self.log.get(decision_id).encode()


def _answer(page: Page) -> bytes:
    """Put together from lines as they are, which are canonical JSON."""
    following = None if page.next is None else _cursor(page.next)
    head = b'{"count":%d,"decisions":[' % len(page.lines)
    tail = b'],"next":' + strict_json.dumps(following) + b"}"
    return head + ",".join(page.lines).encode() + tail


def _search(req: falcon.Request) -> Search:
    equal = {name: text for name in PARAMETERS & set(FILTERS) if (text := _text(req, name))}
    if role := _text(req, "role"):
        equal["role_id" if is_uuid(role) else "role_name"] = role
    return Search(equal, *(_time(req, name) for name in _TIMES))


def _text(req: falcon.Request, name: str) -> str:
    """Whatever a call may have for a tool or call id, control characters too."""
    value = req.params.get(name, "")
    if not isinstance(value, str) or len(value) > LONGEST_FILTER:
        raise InputError(name, f"give one text of at most {LONGEST_FILTER} characters")
    return value


def _time(req: falcon.Request, name: str) -> int | None:
    if name not in req.params:
        return None
    text = _text(req, name)
    try:
        when = datetime.fromisoformat(text)
        return int(when.timestamp() * _MICROSECONDS) if when.tzinfo else _fail(name)
    except (ValueError, OverflowError):
        return _fail(name)


def _fail(name: str) -> int:
    raise InputError(name, "must be a time with its zone, such as 2026-04-29T12:00:00Z")


def _cursor(key: Key) -> str:
    at_us, node, seq = key
    return f"{at_us}/{seq}/{node}"


def _after(req: falcon.Request) -> Key | None:
    if "cursor" not in req.params:
        return None
    text = _text(req, "cursor")
    if not re.fullmatch(CURSOR, text):
        raise InputError("cursor", "is none that was answered as `next`; begin without one")
    at_us, seq, node = text.split("/")
    return int(at_us), node, int(seq)


def filters() -> Mapping[str, str]:
    """What each filter is compared with, for the description of the API."""
    return {
        "event": "What happened, such as `tool_call.deny`.",
        "decision": "`allow` or `deny`, of whatever kind.",
        "deny_code": "The code of the primary violation.",
        "tool_name": "The tool.",
        "role": "The role, by its id or its name.",
        "session_id": "The session.",
        "call_id": "The call id.",
        "request_id": "What `X-Request-Id` answered.",
        "api_key_id": "The API key that was used.",
        "node": "The node whose record it is.",
    }
