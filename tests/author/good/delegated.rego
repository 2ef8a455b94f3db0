# METADATA
# title: Children know less
# description: A child gets only tools that are not dangerous.
# custom:
#   code: DELEGATED
#   severity: critical
package shop.deny

violation contains {
	"code": "DELEGATED",
	"severity": "critical",
	"reason": "delegated is not fine",
	"retry_guidance": "none",
} if {
	input.action == "delegate"
	not child_harmless
}

child_harmless if {
	is_array(input.child.allowed_tools)
	every tool in input.child.allowed_tools {
		harmless_tool(tool)
	}
	input.child.ttl_seconds <= 3600
}

harmless_tool(tool) if not tool in {"drop_table", "delete_all"}
