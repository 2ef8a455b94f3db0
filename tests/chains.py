"""What a journal's files say, read without the code that wrote them."""

import hashlib
import json
from pathlib import Path
from typing import Any


def whole_chain(folder: Path) -> list[dict[str, Any]]:
    """All records, in order; fails unless the chain over all segments is whole."""
    records, prev = [], "0" * 64
    files = sorted(folder.glob("journal-*.jsonl"))
    for number, file in enumerate(files, 1):
        assert file.name == f"journal-{len(records) + 1:020d}.jsonl"
        *lines, rest = file.read_bytes().split(b"\n")
        assert rest == b"", f"{file.name} ends with a torn line"
        if number < len(files):
            assert lines.pop() == b"", f"{file.name} does not say that it is over"
        for line in lines:
            parsed = json.loads(line)
            assert parsed["chain"]["seq"] == len(records) + 1
            assert parsed["chain"]["prev"] == prev
            prev = hashlib.sha256(line).hexdigest()
            records.append(parsed["record"])
    return records


def events(folder: Path, name: str) -> list[dict[str, Any]]:
    """The details of the events of this name, of a journal whose chain is whole."""
    return [each["details"] for each in whole_chain(folder) if each.get("event") == name]
