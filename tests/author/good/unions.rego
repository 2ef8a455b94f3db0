# METADATA
# title: Sets together
# description: Two sets of tools are one.
# custom:
#   code: UNIONS
#   severity: medium
package shop.deny

import data.shop.config

violation contains {
	"code": "UNIONS",
	"severity": "medium",
	"reason": "unions is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name in both_kinds
	not input.claims.role in {"auditor", "owner"}
}

reading := {tool | some tool in config.reading_tools}

writing := {tool | some tool in config.writing_tools}

both_kinds := reading & writing

any_kind := reading | writing

violation contains {
	"code": "UNIONS",
	"severity": "medium",
	"reason": sprintf("of %d tools none is open to guests", [count(any_kind)]),
	"retry_guidance": "request_access",
} if {
	input.claims.role == "guest"
	input.tool_name in any_kind
}
