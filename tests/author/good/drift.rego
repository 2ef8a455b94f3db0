# METADATA
# title: Sensitive in drift
# description: What is sensitive stops while a session is watched.
# custom:
#   code: DRIFT
#   severity: high
package shop.deny

violation contains {
	"code": "DRIFT",
	"severity": "high",
	"reason": "drift is not fine",
	"retry_guidance": "reprovision",
} if {
	input.tool_name == "read_secret"
	not calm
}

calm if {
	input.session.drift.ready == true
	input.session.drift.latched == false
	input.session.drift.log_evidence < 1.5
}

calm if input.session.drift.ready == false
