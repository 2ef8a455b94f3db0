# METADATA
# title: Matched by the engine
# description: The engine matches a text, the rule asks for its answer.
# custom:
#   code: MATCHED
#   severity: high
package shop.deny

violation contains {
	"code": "MATCHED",
	"severity": "high",
	"reason": "matched is not fine",
	"retry_guidance": "change_args",
} if {
	input.tool_name == "mail"
	not address_fine
}

address_fine if input.matches.inside == "yes"
