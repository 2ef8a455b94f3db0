# METADATA
# title: Scope violation
# description: >-
#   The tool is not in the role's allowed_tools; names are compared exactly. An action that this
#   policy does not know is outside every scope.
# custom:
#   code: SCOPE_VIOLATION
#   severity: medium
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "SCOPE_VIOLATION",
	"severity": "medium",
	"reason": scope_reason,
	"retry_guidance": "none",
} if {
	not scope_held
}

scope_held if {
	facts.tool_call
	facts.tool_granted
} else if {
	facts.delegation
}

scope_reason := facts.missing(scope_missing) if {
	count(scope_missing) > 0
} else := sprintf("tool \"%s\" is not in allowed_tools; allowed: %s", [
	input.tool_name,
	facts.listed(facts.claims.allowed_tools),
]) if {
	facts.tool_call
} else := sprintf("action \"%s\" is unknown; known: tool_call, mcp_tool_call, delegate", [input.action])

scope_missing contains "action" if not is_string(input.action)

scope_missing contains "tool_name" if {
	facts.tool_call
	not is_string(input.tool_name)
}

scope_missing contains "claims.allowed_tools" if {
	facts.tool_call
	not is_array(facts.claims.allowed_tools)
}
