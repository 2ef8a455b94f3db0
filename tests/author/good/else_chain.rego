# METADATA
# title: Limit by role
# description: The limit of an amount depends on the role.
# custom:
#   code: ELSE_CHAIN
#   severity: low
package shop.deny

violation contains {
	"code": "ELSE_CHAIN",
	"severity": "low",
	"reason": sprintf("more than %d", [refund_limit]),
	"retry_guidance": "change_args",
} if {
	input.tool_name == "refund"
	not refund_small
}

refund_limit := 100 if {
	input.claims.role == "clerk"
} else := 1000 if {
	input.claims.role == "manager"
} else := 0

refund_small if {
	amount := input.call_args.amount
	is_number(amount)
	amount <= refund_limit
	amount >= 0
}
