# METADATA
# title: Recipient outside
# description: >-
#   Mail goes to one plain address of company.com. The suffix alone would let in a second address
#   before it, a line break or a letter that only looks Latin; the regex alone any domain.
# custom:
#   code: RECIPIENT_OUTSIDE
#   severity: high
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "RECIPIENT_OUTSIDE",
	"severity": "high",
	"reason": recipient_reason,
	"retry_guidance": "change_args",
} if {
	facts.tool_call
	input.tool_name == "send_email"
	not recipient_inside
}

# Whatever is not known to be fine is denied: "no", "absent", "unfit", and a fact that is missing.
recipient_inside if {
	input.matches.recipient_company == "yes"
	input.matches.recipient_plain == "yes"
}

recipient_reason := "to is not an address of company.com" if {
	input.matches.recipient_plain == "yes"
} else := "to must be one plain address of company.com, as a string"
