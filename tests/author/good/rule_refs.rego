# METADATA
# title: Names with dots
# description: Rules of one tree.
# custom:
#   code: RULE_REFS
#   severity: low
package shop.deny

violation contains {
	"code": "RULE_REFS",
	"severity": "low",
	"reason": "rule_refs is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "measure"
	not measured_fine
}

limits.length := 10

limits.width := 20

measured_fine if {
	is_number(input.call_args.length)
	is_number(input.call_args.width)
	input.call_args.length <= limits.length
	input.call_args.width <= limits.width
}
