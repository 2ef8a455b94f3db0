"""A small bundle that the gate finds nothing wrong with, and ways to change it.

It knows two deny codes of its own and none of the nine, so that its floor has to be acknowledged.
"""

import json
from collections.abc import Iterable
from types import MappingProxyType

from scopebound_engine.bundle.format.build import build
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.gate.inspection import can_run
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import CompileError, Finding

MANIFEST = {
    "name": "shop",
    "version": "1.0.0",
    "entrypoint": "shop/decision",
    "deny_codes": [
        {"code": "TOOL_CLOSED", "severity": "high", "description": "The tool is not open"},
        {"code": "TOO_MUCH", "severity": "low", "description": "The amount is over the limit"},
    ],
}
MAIN = """package shop

import rego.v1

import data.shop.deny

decision := {"allow": allow, "violations": [found | some found in deny.violation]}

default allow := false

allow if {
	tool_open
	count(deny.violation) == 0
}

tool_open if input.tool_name in input.claims.allowed_tools
"""
TOOL = """package shop.deny

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
AMOUNT = """package shop.deny

import rego.v1

import data.shop.config

violation contains amount_violation("the amount is over the limit") if not amount_small

amount_small if {
	is_number(input.call_args.amount)
	input.call_args.amount <= config.limit
}

amount_violation(reason) := {
	"code": "TOO_MUCH",
	"severity": "low",
	"reason": reason,
	"retry_guidance": "change_args",
}
"""
TEST = """package shop.deny_test

import rego.v1

import data.shop

call := {
	"tool_name": "buy",
	"call_args": {"amount": 5},
	"claims": {"allowed_tools": ["buy"]},
}

test_small_amounts_are_allowed if shop.decision.allow with input as call

test_large_amounts_are_not if {
	not shop.decision.allow with input as object.union(call, {"call_args": {"amount": 90000}})
}
"""
FILES = {
    "manifest.json": json.dumps(MANIFEST),
    "shop/main.rego": MAIN,
    "shop/deny/tool.rego": TOOL,
    "shop/deny/amount.rego": AMOUNT,
    "shop/deny/deny_test.rego": TEST,
    "shop/config/data.json": '{"limit": 50000}',
}
# The first line of what `added` adds to amount.rego.
NEXT = AMOUNT.count("\n") + 1


def verified(files: dict[str, bytes]) -> VerifiedBundle:
    """These files as if a trusted key had signed them."""
    return VerifiedBundle(MappingProxyType(files), Manifest.of(files), "", "", "")


def bundle(**changes: str) -> VerifiedBundle:
    """The sound bundle with files replaced or added, by their path."""
    return verified({name: text.encode() for name, text in {**FILES, **changes}.items()})


def changed(file: str, old: str, new: str) -> VerifiedBundle:
    """The sound bundle with one text of a file replaced."""
    assert old in FILES[file]
    return bundle(**{file: FILES[file].replace(old, new)})


def added(text: str, file: str = "shop/deny/amount.rego") -> VerifiedBundle:
    """The sound bundle with a text appended to a file."""
    return bundle(**{file: FILES[file] + text})


def demanding(**thresholds: int) -> VerifiedBundle:
    """The sound bundle with these thresholds."""
    return bundle(**{"manifest.json": json.dumps(MANIFEST | {"thresholds": thresholds})})


def shipped_files() -> dict[str, bytes]:
    """The files of the shipped bundle."""
    return build(SHIPPED / "policies", SHIPPED / "manifest.json")


def inspected(subject: VerifiedBundle) -> list[Finding]:
    """The errors of the steps that run in the child, here: they are the same and faster."""
    looked_at = gate.as_candidate(subject, acknowledge_floor=True)
    findings: list[Finding] = []
    for step in gate.GATE.values():
        try:
            findings += step(looked_at)
        except CompileError as error:
            findings += error.findings
            break
        if not can_run(findings):
            break
    return errors(findings)


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those that refuse a bundle."""
    return [finding for finding in findings if finding.level == "error"]
