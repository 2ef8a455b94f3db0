"""Which records can be decided again, and what they hold for that.

All that a verdict depends on is in the recorded input, the time among it; neither a clock nor the
state of sessions plays a part. Where a record does not suffice it is said why.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from scopebound_engine import strict_json
from scopebound_engine.errors import InputError

# Why a decision cannot be made again: the record is of no decision, of a repeated answer, of one
# that the engine gave without the policy, of an input with masked values; or the bundle is gone.
Cause = Literal["no decision", "replay", "engine", "masked", "bundle"]
# The same as what so many records "…".
IN_WORDS: Final[Mapping[str, str]] = {
    "no decision": "are of no decision",
    "replay": "are of calls that were repeated",
    "engine": "are denials that the engine made by itself",
    "masked": "have masked values",
    "bundle": "name a bundle that cannot be had",
}

_SUBJECTS: Final = frozenset({"tool_call", "mcp_tool_call", "delegation"})
_VERBS: Final = frozenset({"allow", "deny", "replay"})
# More than the largest body that can be configured makes of a line.
_LIMITS: Final = {"depth": 128, "values": 1_000_000}


class ImpossibleError(Exception):
    """Why a record cannot be decided again."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause: Cause = cause


def read(line: bytes) -> dict[str, Any]:
    """The record in a line of a journal or of an export, JSON or JSON Lines. Raises InputError."""
    document = strict_json.loads(line.strip(b"[], \t\r\n"), **_LIMITS)
    record = document.get("record") if type(document) is dict else None
    if type(record) is dict and all(type(record.get(key)) is str for key in ("id", "event")):
        return record
    raise InputError("", "this is no line of a decision log")


def require_decision(record: Mapping[str, Any]) -> None:
    """Raises ImpossibleError unless the policy alone made the decision, of an input in clear."""
    subject, _, verb = record["event"].rpartition(".")
    if subject not in _SUBJECTS or verb not in _VERBS:
        about = f"; it is about {record['of']}" if "of" in record else ""
        raise ImpossibleError("no decision", f"{record['event']} is no decision{about}")
    if verb == "replay":
        first = record.get("of") or f"the first record of call_id {record.get('call_id')}"
        raise ImpossibleError("replay", f"a call that was repeated; reproduce {first}")
    if "input" not in record or "bundle" not in record:
        code = record.get("deny_code", "no code")
        raise ImpossibleError("engine", f"the engine denied it by itself, with {code}")
    if masked := record.get("masked"):
        values = ", ".join(map(str, masked))
        raise ImpossibleError("masked", f"masked, so that the policy saw other values: {values}")


def bundle_of(record: Mapping[str, Any]) -> tuple[str, int]:
    """The checksum of the bundle that decided, and when, in epoch microseconds.

    Raises InputError where these or the input are not as they are written.
    """
    bundle, at_us = record["bundle"], record.get("at_us")
    checksum = bundle.get("checksum") if type(bundle) is dict else None
    if type(checksum) is not str or type(at_us) is not int or type(record["input"]) is not dict:
        raise InputError("", f"the record {record['id']} has no input, bundle and time that fit")
    return checksum, at_us


def said(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says that the policy said; the places of rules are the engine's own words.

    Raises InputError.
    """
    words = {name: record[name] for name in ("event", "decision", "deny_code") if name in record}
    if "violations" not in record:
        return words
    violations = record["violations"]
    if type(violations) is not list or not all(type(one) is dict for one in violations):
        raise InputError("", f"the record {record['id']} has violations that are none")
    cleared = [{key: one[key] for key in one if key != "rules"} for one in violations]
    return words | {"violations": cleared}
