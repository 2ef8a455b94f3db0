# METADATA
# title: Keys and values
# description: Pairs are searched by key and value.
# custom:
#   code: MEMBERSHIP
#   severity: low
package shop.deny

import data.shop.config

violation contains {
	"code": "MEMBERSHIP",
	"severity": "low",
	"reason": "membership is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "book"
	not seat_free
}

seat_free if {
	"seat", input.call_args.seat in {"seat": 4, "row": 2}
}

seat_free if {
	some number, kind in config.seats
	number == input.call_args.seat
	kind == "free"
}
