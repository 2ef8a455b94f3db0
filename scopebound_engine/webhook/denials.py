"""What receivers are told of a recorded denial, in the reference's words."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.log.entries import Entry
from scopebound_engine.times import moment, timestamp

# Longer texts are cut, for receivers that take small bodies; the record has all of them.
_TEXT_LENGTH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Denial:
    """A denial to be told of. `kind` is the same for those that are joined; `payload` is JSON."""

    id: str
    role_id: str
    at_us: int
    kind: str
    payload: str


def denial(entry: Entry) -> Denial | None:
    """What to tell of a record: nothing where it is no denial of a call, or of a role's session.

    Replays, and tokens that were not believed, are in nobody's name.
    """
    record, row = entry.record, entry.row
    role, session = _part(record, "role"), _part(record, "session")
    role_id, session_id = _text(role.get("id")), _text(session.get("id"))
    if row.verdict != "deny" or row.id is None or not role_id or not session_id:
        return None
    code, tool = _text(record.get("deny_code")), _text(record.get("tool_name"))
    first = _first(record.get("violations"))
    payload = {
        "event": "deny",
        "deny_code": code,
        "severity": _text(first.get("severity")),
        "tool_name": tool,
        "agent_id": _text(record.get("agent")),
        "role": _text(role.get("name")),
        "session_id": session_id,
        "reason": _text(first.get("reason")),
        "timestamp": timestamp(moment(row.at_us / 1_000_000)),
    }
    same = strict_json.dumps([session_id, code, tool])
    return Denial(
        id=row.id,
        role_id=role_id,
        at_us=row.at_us,
        kind=hashlib.sha256(same).hexdigest(),
        payload=strict_json.dumps(payload).decode(),
    )


def trial(role_id: str, role: str, at: datetime) -> bytes:
    """The body of a webhook that is about no denial: its `event` is `test`."""
    payload = {
        "event": "test",
        "deny_code": "",
        "severity": "",
        "tool_name": "",
        "agent_id": f"agent:{role_id}",
        "role": role,
        "session_id": "",
        "reason": "this is a test of the webhook: no call was denied",
        "timestamp": timestamp(at),
    }
    return strict_json.dumps(payload)


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _first(violations: object) -> Mapping[str, Any]:
    first = violations[0] if isinstance(violations, list) and violations else None
    return first if isinstance(first, dict) else {}


def _text(value: object) -> str:
    """A text that can be encoded, empty for what is none."""
    text = value[:_TEXT_LENGTH] if isinstance(value, str) else ""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
