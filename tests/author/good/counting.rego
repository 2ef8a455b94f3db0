# METADATA
# title: Not too many
# description: A list is neither empty nor long.
# custom:
#   code: COUNTING
#   severity: low
package shop.deny

violation contains {
	"code": "COUNTING",
	"severity": "low",
	"reason": "counting is not fine",
	"retry_guidance": "change_args",
} if {
	input.tool_name == "invite"
	not party_small
}

party_small if {
	guests := input.call_args.guests
	is_array(guests)
	count(guests) in [1, 2, 3, 4]
	count({guest | some guest in guests}) == count(guests)
}
