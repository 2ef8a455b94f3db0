# METADATA
# title: Every recipient is known
# description: All recipients are among those of the data.
# custom:
#   code: EVERY_ITEM
#   severity: low
package shop.deny

import data.shop.config

violation contains {
	"code": "EVERY_ITEM",
	"severity": "low",
	"reason": "every_item is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "send_mail"
	not all_known
}

all_known if {
	is_array(input.call_args.to)
	count(input.call_args.to) > 0
	every name in input.call_args.to {
		name in config.known_names
	}
}
