"""One line of the decision log: a record, and the hash that ties it to the line before.

    {"chain":{"node":"<id>","prev":"<sha256 hex>","seq":<n>},"record":{...}}

A line is canonical JSON. Its hash is SHA-256 over all its bytes without the newline, so nothing in
it is outside the chain; `prev` is the hash of the line before, or GENESIS in the first one.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from scopebound_engine import strict_json
from scopebound_engine.errors import InputError, LineError

GENESIS: Final = "0" * 64

# hashlib lets go of the interpreter's lock from 2,048 bytes on. Lines are hashed while all
# processes of the node wait, and getting that lock back can take longer than the hash.
_STEP: Final = 2_047
_LINE: Final = re.compile(
    rb'\{"chain":\{"node":("(?:[^"\\]|\\.)*"),"prev":"([0-9a-f]{64})","seq":([1-9][0-9]{0,18})\},'
    rb'"record":(\{[^\n]*\})\}'
)


@dataclass(frozen=True, slots=True)
class Link:
    """What a line says; `record` is canonical JSON."""

    node: str
    prev: str
    seq: int
    record: bytes


def compose(node: str, prev: str, seq: int, record: bytes) -> bytes:
    """The line, with its newline, of a record that is one JSON object without a newline."""
    return b'{"chain":{"node":%b,"prev":"%b","seq":%d},"record":%b}\n' % (
        _quoted(node),
        prev.encode(),
        seq,
        record,
    )


@lru_cache(maxsize=8)
def _quoted(node: str) -> bytes:
    return strict_json.dumps(node)


def digest(line: bytes) -> str:
    """The hash of a line, in hex. A newline at its end does not count."""
    length = len(line) - line.endswith(b"\n")
    view, hashed = memoryview(line), hashlib.sha256()
    for start in range(0, length, _STEP):
        hashed.update(view[start : min(start + _STEP, length)])
    return hashed.hexdigest()


def split(line: bytes) -> Link:
    """What a line says. A newline at its end does not count.

    Raises LineError when these bytes cannot be a line of a log. The record is not parsed.
    """
    found = _LINE.fullmatch(line.removesuffix(b"\n"))
    if found is None:
        raise LineError(f"this is no line of a decision log: {line[:80]!r}")
    node, prev, seq, record = found.groups()
    return Link(_text(node), prev.decode(), int(seq), record)


@lru_cache(maxsize=16)  # all lines of a journal name one node
def _text(node: bytes) -> str:
    try:
        return str(strict_json.loads(node))
    except InputError as error:
        raise LineError(f"the node of this line is no text: {error}") from error
