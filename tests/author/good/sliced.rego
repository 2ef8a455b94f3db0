# METADATA
# title: First of many
# description: Only the first three are looked at.
# custom:
#   code: SLICED
#   severity: low
package shop.deny

violation contains {
	"code": "SLICED",
	"severity": "low",
	"reason": "sliced is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "rank"
	not first_known
}

first_known if {
	is_array(input.call_args.choices)
	first := array.slice(input.call_args.choices, 0, 3)
	every choice in first {
		is_string(choice)
	}
}
