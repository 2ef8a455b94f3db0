# METADATA
# title: Four eyes
# description: Who asked for something does not approve it.
# custom:
#   code: SEPARATION
#   severity: high
package shop.deny

violation contains {
	"code": "SEPARATION",
	"severity": "high",
	"reason": "separation is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "approve"
	not another_person
}

another_person if {
	asked := input.call_args.requested_by
	is_string(asked)
	asked != input.claims.sub
}
