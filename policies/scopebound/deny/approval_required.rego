# METADATA
# title: Approval required
# description: The tool is in the role's approval_required, and there are no approvals yet.
# custom:
#   code: APPROVAL_REQUIRED
#   severity: high
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "APPROVAL_REQUIRED",
	"severity": "high",
	"reason": approval_reason,
	"retry_guidance": approval_guidance,
} if {
	facts.tool_call
	not approval_unneeded
}

approval_tools := facts.bound.approval_required

approval_unneeded if {
	is_string(input.tool_name)
	is_array(approval_tools)
	not approval_listed
}

approval_listed if input.tool_name in approval_tools

approval_guidance := "request_access" if {
	approval_listed
} else := "none"

approval_reason := facts.missing(approval_missing) if {
	count(approval_missing) > 0
} else := sprintf("tool \"%s\" is in approval_required and has no approval", [input.tool_name])

approval_missing contains "tool_name" if not is_string(input.tool_name)

approval_missing contains "claims.bound.approval_required" if not is_array(approval_tools)
