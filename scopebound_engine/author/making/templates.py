"""What `policy new` writes: an example that works, and denies no call that any agent makes."""

from string import Template
from typing import Final

DENY: Final = Template("""# METADATA
# title: $title
# description: >-
#   An example to edit: example_tool may be called with an amount up to 1000. An amount that is
#   missing or no number cannot be judged, and is denied.
# custom:
#   code: $code
#   severity: $severity
package $package

import rego.v1

violation contains {
	"code": "$code",
	"severity": "$severity",
	"reason": ${name}_reason,
	"retry_guidance": "change_args",
} if {
	input.tool_name == "example_tool"
	not ${name}_allowed
}

# What is fine is stated, and all else denied: whatever is missing is not fine.
${name}_allowed if {
	amount := input.call_args.amount
	is_number(amount)
	amount <= 1000
}

${name}_reason := sprintf("amount is %v; at most 1000 is allowed", [input.call_args.amount]) if {
	is_number(input.call_args.amount)
} else := "cannot be judged, missing or of the wrong type: call_args.amount"
""")

DENY_TEST: Final = Template("""package $package.${name}_test

import rego.v1

import data.$package

found := [violation |
	some violation in $last.violation
	violation.code == "$code"
]

denial(reason) := {
	"code": "$code",
	"severity": "$severity",
	"reason": reason,
	"retry_guidance": "change_args",
}

large := denial("amount is 1001; at most 1000 is allowed")

missing := denial("cannot be judged, missing or of the wrong type: call_args.amount")

call(arguments) := {"tool_name": "example_tool", "call_args": arguments}

test_amount_up_to_1000_passes if {
	found == [] with input as call({"amount": 1000})
}

test_larger_amount_denies if {
	found == [large] with input as call({"amount": 1001})
}

test_missing_amount_denies if {
	found == [missing] with input as call({})
	found == [missing] with input as {"tool_name": "example_tool"}
}

test_unfit_amount_denies if {
	every amount in [null, true, "12", [12], {}] {
		found == [missing] with input as call({"amount": amount})
	}
}

test_other_tools_pass if {
	found == [] with input as {"tool_name": "another_tool", "call_args": {"amount": 1001}}
}
""")

DENY_CASES: Final = Template("""# Whole calls, as a server decides them; see policy test --help.

roles:
  clerk:
    allowed_tools: [example_tool]

cases:
  - name: an amount up to 1000
    role: clerk
    call: {tool_name: example_tool, call_args: {amount: 1000}}
    expect: allow

  - name: a larger amount
    role: clerk
    call: {tool_name: example_tool, call_args: {amount: 1001}}
    expect: {deny: $code, severity: $severity, retry_guidance: change_args}

  - name: no amount
    role: clerk
    call: {tool_name: example_tool}
    expect: {deny: $code, reason: missing}
""")


def filled(template: Template, *, code: str, severity: str, package: str) -> str:
    """The template for a code; `package` is dotted."""
    name = code.lower()
    return template.substitute(
        code=code,
        name=name,
        title=name.replace("_", " ").capitalize(),
        severity=severity,
        package=package,
        last=package.rpartition(".")[2],
    )
