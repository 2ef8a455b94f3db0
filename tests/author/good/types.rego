# METADATA
# title: Types
# description: Each field has its type.
# custom:
#   code: TYPES
#   severity: low
package shop.deny

violation contains {
	"code": "TYPES",
	"severity": "low",
	"reason": "types is not fine",
	"retry_guidance": "change_args",
} if {
	input.tool_name == "store"
	not all_typed
}

wanted_types := {"id": "string", "size": "number", "tags": "array", "open": "boolean"}

all_typed if {
	every name, type in wanted_types {
		type_name(object.get(input.call_args, name, null)) == type
	}
}
