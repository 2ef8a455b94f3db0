# METADATA
# title: Even lots
# description: Lots are even and not negative.
# custom:
#   code: REMAINDER
#   severity: low
package shop.deny

violation contains {
	"code": "REMAINDER",
	"severity": "low",
	"reason": "remainder is not fine",
	"retry_guidance": "change_args",
} if {
	input.tool_name == "trade"
	not even_lot
}

even_lot if {
	lot := input.call_args.lot
	is_number(lot)
	lot >= 0
	lot % 2 == 0
	(lot + 2) / 2 <= 500
}
