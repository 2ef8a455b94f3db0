# The idea of the Terraform tutorial of the OPA documentation, in words of our own.

# METADATA
# title: Too much changes at once
# description: The weighted number of changes stays below a limit.
# custom:
#   code: BLAST_RADIUS
#   severity: high
package shop.deny

import data.shop.config

violation contains {
	"code": "BLAST_RADIUS",
	"severity": "high",
	"reason": "the change is too large, or cannot be weighed",
	"retry_guidance": "none",
} if {
	input.tool_name == "apply"
	not small_enough
}

small_enough if {
	is_object(input.call_args.changes)
	not unweighable
	score < 30
}

score := sum([(weight * number) |
	some kind
	number := input.call_args.changes[kind]
	is_number(number)
	weight := object.get(config.weights, kind, 10)
	is_number(weight)
])

unweighable if {
	some number in input.call_args.changes
	not is_number(number)
}
