# METADATA
# title: Fields of a view
# description: Of a document only some fields are shown.
# custom:
#   code: SELECTED
#   severity: low
package shop.deny

import data.shop.config

violation contains {
	"code": "SELECTED",
	"severity": "low",
	"reason": "selected is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "show"
	not view_small
}

view_small if {
	is_object(input.call_args.document)
	shown := object.filter(input.call_args.document, ["id", "name"])
	count(shown) == count(input.call_args.document)
	count(shown) <= config.most_fields
}
