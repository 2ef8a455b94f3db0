# METADATA
# title: Servers
# description: Some tools go over one server only.
# custom:
#   code: MCP_ONLY
#   severity: high
package shop.deny

violation contains {
	"code": "MCP_ONLY",
	"severity": "high",
	"reason": sprintf("not over %v", [input.mcp_server]),
	"retry_guidance": "none",
} if {
	input.tool_name == "ledger_entry"
	not over_ledger
}

over_ledger if {
	input.action == "mcp_tool_call"
	input.mcp_server == "ledger"
}
