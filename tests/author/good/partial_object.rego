# METADATA
# title: Budget by team
# description: A team spends no more than its budget.
# custom:
#   code: PARTIAL_OBJECT
#   severity: low
package shop.deny

import data.shop.config

violation contains {
	"code": "PARTIAL_OBJECT",
	"severity": "low",
	"reason": "partial_object is not fine",
	"retry_guidance": "change_args",
} if {
	input.tool_name == "spend"
	not affordable
}

budget[team] := amount if {
	some entry in config.budgets
	team := entry.team
	amount := entry.amount
}

affordable if {
	amount := input.call_args.amount
	limit := budget[input.call_args.team]
	is_number(amount)
	is_number(limit)
	amount <= limit
}
