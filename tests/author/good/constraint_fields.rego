# METADATA
# title: Constrained fields
# description: A role that bounds nothing gets nothing.
# custom:
#   code: CONSTRAINT_FIELDS
#   severity: high
package shop.deny

violation contains {
	"code": "CONSTRAINT_FIELDS",
	"severity": "high",
	"reason": "constraint_fields is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "withdraw"
	not amount_bounded
}

amount_bounded if {
	some constraint in input.constraints
	constraint.field == "amount"
	constraint.operator in ["lt", "in"]
}
