package scopebound.deny.approval_required_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "APPROVAL_REQUIRED"
]

denial(rest) := object.union({"code": "APPROVAL_REQUIRED", "severity": "high"}, rest)

missing(paths) := denial({
	"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths]),
	"retry_guidance": "none",
})

required := denial({
	"reason": `tool "read_invoices" is in approval_required and has no approval`,
	"retry_guidance": "request_access",
})

approvals(tools) := fixtures.call_with({"/claims/bound/approval_required": tools})

test_tool_without_approval_passes if {
	found == [] with input as fixtures.call
	found == [] with input as approvals(["pay_invoice", "Read_invoices", "read"])
}

test_tool_with_approval_denies if {
	found == [required] with input as approvals(["read_invoices"])
	found == [required] with input as approvals(["pay_invoice", "read_invoices"])
	found == [required] with input as fixtures.changed(
		fixtures.mcp_call,
		{"/claims/bound/approval_required": ["read_invoices"]},
	)
}

test_missing_list_denies_and_delegations_need_none if {
	found == [missing({"claims.bound.approval_required"})] with input as fixtures.call_without(["/claims/bound/approval_required"])
	found == [missing({"claims.bound.approval_required"})] with input as fixtures.call_without(["/claims/bound"])
	found == [missing({"claims.bound.approval_required"})] with input as fixtures.call_without(["/claims"])
	found == [] with input as fixtures.without(fixtures.delegation, ["/claims/bound"])
}

test_unfit_list_denies if {
	every tools in fixtures.not_arrays {
		count(found) == 1 with input as approvals(tools)
	}
	found == [missing({"claims.bound.approval_required"})] with input as approvals("pay_invoice")
}

test_missing_tool_name_denies if {
	found == [missing({"tool_name"})] with input as fixtures.call_without(["/tool_name"])
}

test_unfit_tool_name_denies if {
	every name in fixtures.not_strings {
		found == [missing({"tool_name"})] with input as fixtures.call_with({"/tool_name": name})
	}
}
