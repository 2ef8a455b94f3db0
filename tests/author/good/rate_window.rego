# METADATA
# title: Own window
# description: A tool is called less than others.
# custom:
#   code: RATE_WINDOW
#   severity: medium
package shop.deny

violation contains {
	"code": "RATE_WINDOW",
	"severity": "medium",
	"reason": "rate_window is not fine",
	"retry_guidance": "wait",
	"retry_after_seconds": 60,
} if {
	input.tool_name == "export"
	not window_left
}

window_left if {
	input.session.rate.minute.remaining > 5
}

window_left if {
	input.session.rate.minute.limit == 0
}
