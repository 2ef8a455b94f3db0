# METADATA
# title: One owner each
# description: Nobody owns two of the listed things.
# custom:
#   code: OBJECT_COMPREHENSION
#   severity: low
package shop.deny

violation contains {
	"code": "OBJECT_COMPREHENSION",
	"severity": "low",
	"reason": "object_comprehension is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "assign"
	not one_each
}

owners := {thing: names |
	is_array(input.call_args.pairs)
	some pair in input.call_args.pairs
	thing := pair.thing
	is_string(thing)
	names := {other.owner |
		some other in input.call_args.pairs
		other.thing == thing
	}
}

one_each if {
	is_array(input.call_args.pairs)
	every names in owners {
		count(names) == 1
	}
}
