"""A small sound policy folder to put other files into."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MAIN = """# METADATA
# title: Decision
# description: Allows what is granted and what no rule denies.
package shop

import rego.v1

import data.shop.deny

# METADATA
# entrypoint: true
decision := {"allow": allow, "violations": [found | some found in deny.violation]}

default allow := false

allow if {
	tool_open
	count(deny.violation) == 0
}

tool_open if input.tool_name in input.claims.allowed_tools
"""
TOOL = """# METADATA
# title: Tool closed
# description: The tool is not among those of the role.
# custom:
#   code: TOOL_CLOSED
#   severity: high
package shop.deny

import rego.v1

import data.shop

violation contains {
	"code": "TOOL_CLOSED",
	"severity": "high",
	"reason": sprintf("the tool is not open: %v", [object.get(input, "tool_name", null)]),
	"retry_guidance": "none",
} if {
	not shop.tool_open
}
"""


def declared(codes: Iterable[tuple[str, str]], **fields: Any) -> str:
    """A manifest that declares these codes with their severities, besides TOOL_CLOSED."""
    every = [("TOOL_CLOSED", "high"), *codes]
    manifest = {
        "name": "shop",
        "version": "1.0.0",
        "entrypoint": "shop/decision",
        "deny_codes": [
            {"code": code, "severity": severity, "description": "a rule of a test"}
            for code, severity in every
        ],
    }
    return json.dumps(manifest | fields)


def written(folder: Path, files: dict[str, str]) -> Path:
    """The folder with the sound policy and these files."""
    everything = {"shop/main.rego": MAIN, "shop/deny/tool.rego": TOOL, **files}
    everything.setdefault("manifest.json", declared([]))
    for name, text in everything.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
    return folder
