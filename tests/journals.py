"""Journals for tests, written line by line as the format says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scopebound_engine import strict_json
from scopebound_engine.log import chain, segments

NODE = "node-1"
# 2026-04-29T17:13:20Z
NOW_US = 1_777_482_800_000_000


def record(number: int, **fields: object) -> dict[str, Any]:
    """An allowed call, a second after the one before; `fields` replace or add."""
    made: dict[str, Any] = {
        "id": f"01900000-0000-7000-8000-{number:012d}",
        "at_us": NOW_US + number * 1_000_000,
        "event": "tool_call.allow",
        "decision": "allow",
        "tool_name": "read_invoice",
        "call_id": f"call-{number}",
        "session": {"id": "session-1"},
        "role": {"id": "role-1", "name": "clerk", "revision": 1},
        "request": {"id": f"request-{number}", "api_key_id": "key-1"},
        "bundle": {"id": "b", "version": "1.0.0", "checksum": "c" * 64, "generation": 1},
    }
    made.update(fields)
    return made


def denied(number: int, **fields: object) -> dict[str, Any]:
    """A denied call."""
    denial = {"event": "tool_call.deny", "decision": "deny", "deny_code": "TOOL_DENIED"}
    return record(number, **{**denial, **fields})


class Written:
    """A journal in a folder; what is appended is whole lines in the chain unless said otherwise."""

    def __init__(self, folder: Path, node: str = NODE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.node = folder, node
        self.segment, self.seq, self.hash = 1, 0, chain.GENESIS
        self.lines: list[bytes] = []

    @property
    def file(self) -> Path:
        """The segment that is written to."""
        return segments.path(self.folder, self.segment)

    def append(self, *records: Mapping[str, Any]) -> None:
        """Append a line of each."""
        self.write(b"".join(self.compose(one) for one in records))

    def compose(self, one: Mapping[str, Any]) -> bytes:
        """The next line, which must then be written."""
        self.seq += 1
        line = chain.compose(self.node, self.hash, self.seq, strict_json.dumps(one))
        self.hash = chain.digest(line)
        self.lines.append(line.rstrip(b"\n"))
        return line

    def write(self, data: bytes) -> None:
        """Append any bytes."""
        with self.file.open("ab") as file:
            file.write(data)

    def rotate(self) -> None:
        """End the segment; the next line begins another one."""
        self.write(b"\n")
        self.segment = self.seq + 1

    def texts(self) -> list[str]:
        """The lines as they are stored."""
        return [line.decode() for line in self.lines]


def filled(folder: Path, records: Sequence[Mapping[str, Any]]) -> Written:
    """A journal of these records."""
    journal = Written(folder)
    journal.append(*records)
    return journal
