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
# What the engine's parser says, and what it mostly means.
_REMEDIES: Final = {
    "Invalid assignment operator": "write one := with a name before it and a value after it",
    "Invalid boolean operator": "write a value on both sides of the operator",
    "Invalid import": "write: import data.a.b, or: import data.a.b as c",
    "Invalid rule head": "write: name if …, name := value if …, or: name contains value if …",
    "Empty body": "write a condition between { and }",
    "Invalid collection": (
        "before | write one value, a computed one in brackets: [(a * b) | …]; "
        "after it, in place of `some k, v in xs`: some k; v := xs[k]"
    ),
    "Leading zeros": "write the number without the zeros before it",
}
_LOOK: Final = "look at this place, and at the line above it"


def parse_findings(file: str, source: str, text: str) -> list[Finding]:
    """The findings in the message of a module that could not be added."""
    data = text.encode("utf-8")
    found: dict[tuple[int, str], Finding] = {}
    for match in _PARSE_ERROR.finditer(data):
        new = _at(file, source, int(match["offset"]), data[match.end() :][: int(match["size"])])
        # Several tokens of a line that are wrong for one reason are one finding.
        found.setdefault((new.line, new.message), new)
    return list(found.values()) or [
        Finding("parse", f"not Rego: {text.strip()[:500]}", file, remedy=_LOOK)
    ]


def build_findings(bundle: int) -> list[Finding]:
    """The findings in a bundle whose build failed; the engine does not say where."""
    root = native.bundle_node(bundle)
    several = native.node_kind(root) == native.ERROR_SEQUENCE
    errors = native.node_children(root) if several else [root]
    return [Finding("compile", error_message(error)) for error in errors]


def _at(file: str, source: str, offset: int, message: bytes) -> Finding:
    before = source.encode("utf-8")[:offset].decode("utf-8", "replace")
    line_start = before.rfind("\n") + 1
    said = message.decode("utf-8", "replace")
    return Finding(
        "parse",
        said,
        file,
        before.count("\n") + 1,
        len(before) - line_start + 1,
        _REMEDIES.get(said, _LOOK),
    )
