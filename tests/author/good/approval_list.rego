# METADATA
# title: Approved calls
# description: A list of approvals names the call.
# custom:
#   code: APPROVAL_LIST
#   severity: high
package shop.deny

violation contains {
	"code": "APPROVAL_LIST",
	"severity": "high",
	"reason": "approval_list is not fine",
	"retry_guidance": "request_access",
} if {
	input.tool_name == "launch"
	not approved_by_name
}

approved_by_name if {
	some approval in input.call_args.approvals
	approval.call_id == input.call_id
	approval.by != input.claims.sub
	approval.stage in ["final", "early"]
}
