"""The engine's compile messages as findings with file, line and column.

A parse error is a text that names bytes of the source,
`(error LENGTH:FILE|OFFSET|LENGTH\n (errormsg LENGTH:MESSAGE)`; a build error a tree without places.
"""

import re
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego import native
from scopebound_engine.rego.outcome import error_message

_PARSE_ERROR: Final = re.compile(
    rb"\(error (?:[^\n]*\|)?(?P<offset>\d+)\|\d+\s+\(errormsg (?P<size>\d+):"
)


def parse_findings(file: str, source: str, text: str) -> list[Finding]:
    """The findings in the message of a module that could not be added."""
    data = text.encode("utf-8")
    found = [
        _at(file, source, int(match["offset"]), data[match.end() :][: int(match["size"])])
        for match in _PARSE_ERROR.finditer(data)
    ]
    return found or [Finding("parse", f"not Rego: {text.strip()[:500]}", file)]


def build_findings(bundle: int) -> list[Finding]:
    """The findings in a bundle whose build failed; the engine does not say where."""
    root = native.bundle_node(bundle)
    several = native.node_kind(root) == native.ERROR_SEQUENCE
    errors = native.node_children(root) if several else [root]
    return [Finding("compile", error_message(error)) for error in errors]


def _at(file: str, source: str, offset: int, message: bytes) -> Finding:
    before = source.encode("utf-8")[:offset].decode("utf-8", "replace")
    line_start = before.rfind("\n") + 1
    return Finding(
        "parse",
        message.decode("utf-8", "replace"),
        file,
        before.count("\n") + 1,
        len(before) - line_start + 1,
    )
