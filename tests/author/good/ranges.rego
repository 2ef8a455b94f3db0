# The idea of gatekeeper-library's K8sReplicaLimits, in words of our own.

# METADATA
# title: Replicas within a range
# description: A number lies in one of the ranges of the data.
# custom:
#   code: RANGES
#   severity: low
package shop.deny

import data.shop.config.replica_ranges

violation contains {
	"code": "RANGES",
	"severity": "low",
	"reason": "ranges is not fine",
	"retry_guidance": "change_args",
} if {
	input.tool_name == "scale"
	not in_some_range
}

in_some_range if {
	replicas := input.call_args.replicas
	is_number(replicas)
	some span in replica_ranges
	within(span, replicas)
}

within(span, number) if {
	is_number(span.least)
	is_number(span.most)
	span.least <= number
	number <= span.most
}
