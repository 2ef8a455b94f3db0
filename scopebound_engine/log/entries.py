"""Lines of the journal as rows of `decisions`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from scopebound_engine import strict_json
from scopebound_engine.database.log_tables import TEXT_LENGTH
from scopebound_engine.errors import LineError
from scopebound_engine.log import chain

# The events of calls that count, and what was decided; neither replays nor delegations do.
VERDICTS: Final[Mapping[str, str]] = {
    f"{call}.{verdict}": verdict
    for call in ("tool_call", "mcp_tool_call")
    for verdict in ("allow", "deny")
}
# 9999-12-31T23:59:59Z, in microseconds: what is beyond is no time.
_LATEST_US: Final = 253_402_300_799_000_000
_LARGEST_SEQ: Final = (1 << 63) - 1


Key = tuple[int, str, int]


class Row(NamedTuple):
    """A row, its columns in the order of the table's."""

    at_us: int
    node: str
    seq: int
    id: str | None
    event: str
    decision: str | None
    verdict: str | None
    deny_code: str | None
    tool_name: str | None
    role_id: str | None
    role_name: str | None
    session_id: str | None
    call_id: str | None
    request_id: str | None
    api_key_id: str | None
    bundle_checksum: str | None
    line: str

    @property
    def key(self) -> Key:
        """What no other row has: (at_us, node, seq)."""
        return self.at_us, self.node, self.seq


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, and the record that its line holds."""

    row: Row
    record: Mapping[str, Any]


def read(line: bytes) -> Entry:
    """The entry of a line without its newline. Raises LineError when it cannot be one."""
    link = chain.split(line)
    try:
        text, record = line.decode(), strict_json.skim(link.record)
    except (ValueError, RecursionError) as error:
        raise LineError(f"the record of line {link.seq} is not JSON: {error}") from error
    at_us, event = record.get("at_us"), column(record.get("event"))
    if type(at_us) is not int or not 0 <= at_us <= _LATEST_US or event is None:
        raise LineError(f"the record of line {link.seq} has no time `at_us` or no `event`")
    if link.seq > _LARGEST_SEQ or link.node != column(link.node):
        raise LineError(f"the number {link.seq} or the node of the line is longer than any")
    return Entry(_row(link, at_us, event, record, text), record)


def column(value: object) -> str | None:
    """A text as it stands in its column, null for what is no text that can; see `log_tables`."""
    if not isinstance(value, str) or "\0" in value:
        return None
    start = value[:TEXT_LENGTH]
    return start if start.isascii() else start.encode("utf-8", "replace").decode()


def _row(link: chain.Link, at_us: int, event: str, record: dict[str, Any], line: str) -> Row:
    role, request = _concerned(record, "role"), _part(record, "request")
    return Row(
        at_us=at_us,
        node=link.node,
        seq=link.seq,
        id=column(record.get("id")),
        event=event,
        decision=column(record.get("decision")),
        verdict=VERDICTS.get(event),
        deny_code=column(record.get("deny_code")),
        tool_name=column(record.get("tool_name")),
        role_id=column(role.get("id")),
        role_name=column(role.get("name")),
        session_id=column(_concerned(record, "session").get("id")),
        call_id=column(record.get("call_id")),
        request_id=column(request.get("id")),
        api_key_id=column(request.get("api_key_id")),
        bundle_checksum=column(_part(record, "bundle").get("checksum")),
        line=line,
    )


def _concerned(record: dict[str, Any], kind: str) -> Mapping[str, Any]:
    """The role or session of a call, or the one that an event is about."""
    subject = _part(record, "subject")
    return _part(record, kind) or (subject if subject.get("type") == kind else {})


def _part(record: dict[str, Any], name: str) -> Mapping[str, Any]:
    part = record.get(name)
    return part if isinstance(part, dict) else {}
