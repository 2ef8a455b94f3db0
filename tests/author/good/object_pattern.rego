# METADATA
# title: Shape of a filter
# description: A filter has one of two shapes.
# custom:
#   code: OBJECT_PATTERN
#   severity: low
package shop.deny

violation contains {
	"code": "OBJECT_PATTERN",
	"severity": "low",
	"reason": "object_pattern is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "search"
	not filter_fine
}

filter_fine if {
	{"field": field, "value": value} = input.call_args.filter
	field in ["name", "id"]
	is_string(value)
}

filter_fine if input.call_args.filter == {}
