"""Bundles of more rules or fewer than the shipped one.

The fewest are the nine of the API reference, without which no bundle is admitted. Those that are
added are of the kinds that operators write: a limit on one tool's argument, recipients, a freeze of
production, a ceiling for a currency, a narrower kind of agent, words that a text must not have.
"""

import json

from scopebound_engine.bundle.format.build import build
from scopebound_engine.config import SHIPPED
from tests.bundles import bundle_files

# What the shipped bundle has beside the nine.
_BESIDE = ("APPROVAL_REQUIRED", "MCP_SERVER_UNAUTHORIZED", "DELEGATION_SCOPE_EXCEEDED")
# Each says whom it is for and, in a rule of its own, what is fine then.
_CONDITIONS = (
    """input.tool_name == "approve_payments_{n}"
	not fine_{n}
}}

fine_{n} if {{
	is_number(input.call_args.amount)
	input.call_args.amount <= {n}00""",
    """input.tool_name == "send_report_{n}"
	not fine_{n}
}}

fine_{n} if {{
	is_array(input.call_args.recipients)
	every recipient in input.call_args.recipients {{
		is_string(recipient)
		endswith(recipient, "@company.com")
	}}""",
    """input.call_args.env == "production"
	input.tool_name in {{"deploy_{n}", "restart_{n}", "migrate_{n}"}}
	not fine_{n}
}}

fine_{n} if {{
	input.now.weekday in [0, 1, 2, 3]""",
    """input.call_args.currency == "C{n:02}"
	not fine_{n}
}}

fine_{n} if {{
	is_number(input.call_args.amount)
	input.call_args.amount <= {n}000""",
    """input.claims.role == "contractor-{n}"
	not fine_{n}
}}

fine_{n} if {{
	is_number(input.call_args.limit)
	input.call_args.limit <= {n}""",
    """is_string(input.call_args.message)
	contains(input.call_args.message, "secret-{n}")""",
)
_RULE = """# METADATA
# title: House rule {n}
# description: One of many rules that an operator adds.
package scopebound.deny

import rego.v1

violation contains {{
	"code": "HOUSE_RULE_{n}",
	"severity": "low",
	"reason": "house rule {n}",
	"retry_guidance": "change_args",
}} if {{
	{condition}
}}
"""


def shipped(version: str) -> dict[str, bytes]:
    """The files of the shipped bundle, with its tests; not signed."""
    files = build(SHIPPED / "policies", SHIPPED / "manifest.json")
    manifest = json.loads(files["manifest.json"]) | {"version": version}
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def with_rules(count: int, version: str) -> dict[str, bytes]:
    """The files of a bundle of so many deny rules, nine at least; not signed."""
    files = bundle_files(version, denies=False)
    manifest = json.loads(files["manifest.json"])
    for code in _BESIDE if count < len(manifest["deny_codes"]) else ():
        del files[f"scopebound/deny/{code.lower()}.rego"]
        manifest["deny_codes"] = [each for each in manifest["deny_codes"] if each["code"] != code]
    for number in range(1, count - len(manifest["deny_codes"]) + 1):
        condition = _CONDITIONS[number % len(_CONDITIONS)].format(n=number)
        source = _RULE.format(n=number, condition=condition)
        files[f"scopebound/deny/house_rule_{number}.rego"] = source.encode()
        declared = {"severity": "low", "description": "a house rule"}
        manifest["deny_codes"].append({"code": f"HOUSE_RULE_{number}", **declared})
    assert len(manifest["deny_codes"]) == count, "bundles have nine rules at least"
    return {**files, "manifest.json": json.dumps(manifest).encode()}
