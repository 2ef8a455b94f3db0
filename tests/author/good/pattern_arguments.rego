# METADATA
# title: Transitions
# description: A state may change into some others.
# custom:
#   code: PATTERN_ARGUMENTS
#   severity: low
package shop.deny

import rego.v1

violation contains {
	"code": "PATTERN_ARGUMENTS",
	"severity": "low",
	"reason": "pattern_arguments is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "set_state"
	not allowed_change(input.call_args.from, input.call_args.to)
}
violation contains {
	"code": "PATTERN_ARGUMENTS",
	"severity": "low",
	"reason": "from and to are needed",
	"retry_guidance": "none",
} if {
	input.tool_name == "set_state"
	not state_named
}

state_named if {
	is_string(input.call_args.from)
	is_string(input.call_args.to)
}

allowed_change("draft", "review")

allowed_change("review", "done")

allowed_change("review", "draft")
