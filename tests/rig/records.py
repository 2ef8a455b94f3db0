"""What the decision logs say of every decision: its outcome, and whether it stands there twice."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from tests.rig.history import ALLOW

GENESIS = "0" * 64
# What a record says of an earlier one, which it names.
_AFTERTHOUGHT = "answer.late"


class Records:
    """Decisions by their ids. Outcomes are few, so a million records need little room."""

    def __init__(self) -> None:
        self._outcomes: dict[bytes, tuple[str, int]] = {}
        self._known: dict[tuple[str, int], tuple[str, int]] = {}
        self._calls: set[str] = set()
        self._twice: Counter[str] = Counter()
        self.count = 0

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record, if it is one of a decision."""
        if "decision" not in record or record["event"] == _AFTERTHOUGHT:
            return
        self.count += 1
        said = ALLOW if record["decision"] == ALLOW else record["deny_code"]
        outcome = (said, record.get("bundle", {}).get("generation", 0))
        key = _bytes(record["id"])
        if key in self._outcomes:
            self._twice[record["id"]] += 1
        self._outcomes[key] = self._known.setdefault(outcome, outcome)
        # The rig gives each call a number of its own, as its call id, and sends it once.
        call = record["call_id"]
        if len(call) == 12 and call.isdigit():
            if call in self._calls:
                self._twice[f"call {call}"] += 1
            self._calls.add(call)

    def outcome(self, record_id: str) -> tuple[str, int] | None:
        """What was recorded: "allow" or a code, and the generation of the bundle."""
        return self._outcomes.get(_bytes(record_id))

    def doubled(self) -> int:
        """How many records stand beside another of the same decision, or of the same call."""
        return self._twice.total()


def _bytes(record_id: str) -> bytes:
    return bytes.fromhex(record_id.replace("-", ""))


def journal(folder: Path) -> Iterator[dict[str, Any]]:
    """All records of a journal's files, in order; fails where their chain is not whole.

    Read without the code that wrote them. A last line that was torn by a kill was never answered.
    """
    number, prev = 0, GENESIS
    for file in sorted(folder.glob("journal-*.jsonl")):
        with file.open("rb") as lines:
            for line in lines:
                text = line.removesuffix(b"\n")
                if not text or text == line:
                    continue
                parsed, number = orjson.loads(text), number + 1
                chain = parsed["chain"]
                if (chain["seq"], chain["prev"]) != (number, prev):
                    raise AssertionError(f"the chain breaks at line {number}, in {file.name}")
                prev = hashlib.sha256(text).hexdigest()
                yield parsed["record"]
