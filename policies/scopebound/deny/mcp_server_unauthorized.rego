# METADATA
# title: MCP server unauthorized
# description: >-
#   An MCP tool call of a role with allowed_mcp_servers names a server that is not among them, or
#   none. An empty list restricts nothing.
# custom:
#   code: MCP_SERVER_UNAUTHORIZED
#   severity: high
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "MCP_SERVER_UNAUTHORIZED",
	"severity": "high",
	"reason": mcp_reason,
	"retry_guidance": mcp_guidance,
} if {
	facts.mcp_tool_call
	not mcp_server_allowed
}

mcp_servers := facts.bound.allowed_mcp_servers

mcp_server_allowed if mcp_servers == []

mcp_server_allowed if {
	server := input.mcp_server
	is_string(server)
	is_array(mcp_servers)
	server in mcp_servers
}

mcp_guidance := "none" if {
	not is_array(mcp_servers)
} else := "request_access" if {
	is_string(input.mcp_server)
} else := "change_args"

mcp_reason := facts.missing({"claims.bound.allowed_mcp_servers"}) if {
	not is_array(mcp_servers)
} else := sprintf("MCP server \"%s\" is not in allowed_mcp_servers %s", [
	input.mcp_server,
	facts.listed(mcp_servers),
]) if {
	is_string(input.mcp_server)
} else := sprintf("mcp_server must name the MCP server, one of %s", [facts.listed(mcp_servers)])
