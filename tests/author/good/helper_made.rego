# METADATA
# title: Made by a helper
# description: One helper gives violations their shape.
# custom:
#   code: HELPER_MADE
#   severity: high
package shop.deny

violation contains made("the amount is no number") if {
	input.tool_name == "pay_out"
	not is_number(input.call_args.amount)
}

violation contains made("the amount is too large") if {
	input.tool_name == "pay_out"
	not paid_little
}

paid_little if {
	amount := input.call_args.amount
	is_number(amount)
	amount < 1e3
}

made(reason) := {
	"code": "HELPER_MADE",
	"severity": "high",
	"reason": reason,
	"retry_guidance": "change_args",
}
