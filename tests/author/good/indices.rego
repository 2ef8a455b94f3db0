# METADATA
# title: By index
# description: Neighbours in a list differ.
# custom:
#   code: INDICES
#   severity: low
package shop.deny

violation contains {
	"code": "INDICES",
	"severity": "low",
	"reason": "indices is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "route"
	not stops_differ
}

stops_differ if {
	is_array(input.call_args.stops)
	not same_neighbours
}

same_neighbours if {
	some i
	input.call_args.stops[i] == input.call_args.stops[i + 1]
}
