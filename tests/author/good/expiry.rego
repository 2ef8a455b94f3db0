# METADATA
# title: Nearly over
# description: Long work begins only with time left.
# custom:
#   code: EXPIRY
#   severity: low
package shop.deny

violation contains {
	"code": "EXPIRY",
	"severity": "low",
	"reason": "expiry is not fine",
	"retry_guidance": "reprovision",
} if {
	input.tool_name == "train"
	not time_left
}

time_left if {
	left := input.claims.exp - (input.now.epoch_ms / 1000)
	left > 600
}
