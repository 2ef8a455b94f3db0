# METADATA
# title: Two rules of one code
# description: The rules of a file have METADATA of their own.
# custom:
#   code: RULE_METADATA
#   severity: low
package shop.deny

# METADATA
# title: First
# description: The first of two rules.
violation contains {
	"code": "RULE_METADATA",
	"severity": "low",
	"reason": "first",
	"retry_guidance": "none",
} if {
	input.tool_name == "first"
}

# METADATA
# title: Second
# description: The second of two rules.
# custom:
#   severity: low
violation contains {
	"code": "RULE_METADATA",
	"severity": "low",
	"reason": "second",
	"retry_guidance": "none",
} if {
	input.tool_name == "second"
}
