# METADATA
# title: Known fields only
# description: Arguments have no field that nobody knows.
# custom:
#   code: KEYS
#   severity: low
package shop.deny

violation contains {
	"code": "KEYS",
	"severity": "low",
	"reason": sprintf("unknown fields: %v", [[name | some name in unknown_fields]]),
	"retry_guidance": "change_args",
} if {
	input.tool_name == "update"
	count(unknown_fields) > 0
}

unknown_fields := object.keys(input.call_args) - {"id", "name", "note"}
