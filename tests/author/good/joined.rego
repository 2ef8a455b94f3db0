# METADATA
# title: Text of a list
# description: A reason lists what is wrong.
# custom:
#   code: JOINED
#   severity: low
package shop.deny

violation contains {
	"code": "JOINED",
	"severity": "low",
	"reason": concat(", ", ["tags must be among blue", "green", "red"]),
	"retry_guidance": "change_args",
} if {
	input.tool_name == "tag"
	not tags_fine
}

tags_fine if {
	is_array(input.call_args.tags)
	bad := [tag | some tag in input.call_args.tags; not tag in ["blue", "green", "red"]]
	count(bad) == 0
}
