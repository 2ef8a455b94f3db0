# METADATA
# title: Wait as told
# description: The answer tells how long to wait.
# custom:
#   code: WAIT_FOR
#   severity: medium
package shop.deny

violation contains {
	"code": "WAIT_FOR",
	"severity": "medium",
	"reason": "wait_for is not fine",
	"retry_guidance": "wait",
	"retry_after_seconds": wait,
} if {
	input.tool_name == "poll"
	wait := input.session.rate.hour.retry_after_seconds
	wait > 0
}

violation contains {
	"code": "WAIT_FOR",
	"severity": "medium",
	"reason": "the rate is not known",
	"retry_guidance": "none",
} if {
	input.tool_name == "poll"
	not is_number(input.session.rate.hour.retry_after_seconds)
}
