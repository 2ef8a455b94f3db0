package scopebound.deny.scope_violation_test

import rego.v1

import data.scopebound.deny
import data.scopebound.facts
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "SCOPE_VIOLATION"
]

denial(rest) := object.union(
	{"code": "SCOPE_VIOLATION", "severity": "medium", "retry_guidance": "none"},
	rest,
)

missing(paths) := denial({"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths])})

outside := denial({"reason": `tool "delete_invoice" is not in allowed_tools; allowed: ["read_invoices", "send_email"]`})

test_tool_outside_denies if {
	found == [] with input as fixtures.call
	found == [] with input as fixtures.call_with({"/tool_name": "send_email"})
	found == [] with input as fixtures.mcp_call
	found == [] with input as fixtures.delegation
	found == [] with input as fixtures.without(fixtures.delegation, ["/tool_name", "/claims/allowed_tools"])
	found == [outside] with input as fixtures.call_with({"/tool_name": "delete_invoice"})
	found == [outside] with input as fixtures.changed(
		fixtures.mcp_call,
		{"/tool_name": "delete_invoice"},
	)
	found == [denial({"reason": `tool "read_invoices" is not in allowed_tools; allowed: []`})] with input as fixtures.call_with({"/claims/allowed_tools": []})
	tools := ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]
	found == [denial({"reason": `tool "m" is not in allowed_tools; allowed: ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] and 2 more`})] with input as fixtures.call_with({
		"/tool_name": "m",
		"/claims/allowed_tools": tools,
	})
	found == [denial({"reason": "tool \"a\"b\" is not in allowed_tools; allowed: [\"read_invoices\", \"send_email\"]"})] with input as fixtures.call_with({"/tool_name": "a\"b"})
	every name in ["Read_invoices", "READ_INVOICES", "read_invoices ", " read_invoices", "read", "*", ""] {
		count(found) == 1 with input as fixtures.call_with({"/tool_name": name})
	}
}

test_unknown_action_denies if {
	found == [denial({"reason": `action "spawn" is unknown; known: tool_call, mcp_tool_call, delegate`})] with input as fixtures.call_with({"/action": "spawn"})
}

test_each_action_is_known_by_its_exact_name if {
	every action in ["Tool_call", "tool_call ", "", "DELEGATE"] {
		count(found) == 1 with input as fixtures.call_with({"/action": action})
	}
	every action in fixtures.not_strings {
		found == [missing({"action"})] with input as fixtures.call_with({"/action": action})
	}
	facts.tool_call with input as fixtures.call
	facts.tool_call with input as fixtures.mcp_call
	not facts.tool_call with input as fixtures.delegation
	not facts.tool_call with input as fixtures.call_with({"/action": "spawn"})
	not facts.tool_call with input as {}
	facts.mcp_tool_call with input as fixtures.mcp_call
	not facts.mcp_tool_call with input as fixtures.call
	not facts.mcp_tool_call with input as fixtures.delegation
	facts.delegation with input as fixtures.delegation
	not facts.delegation with input as fixtures.call
	not facts.delegation with input as fixtures.mcp_call
}

test_missing_action_denies if {
	found == [missing({"action"})] with input as fixtures.call_without(["/action"])
	found == [missing({"action"})] with input as {}
}

test_missing_tool_name_denies if {
	found == [missing({"tool_name"})] with input as fixtures.call_without(["/tool_name"])
}

granted_if_listed(name) if {
	facts.tool_granted with input as fixtures.call_with({
		"/tool_name": name,
		"/claims/allowed_tools": [name],
	})
}

test_unfit_tool_name_or_list_is_no_grant if {
	every name in fixtures.not_strings {
		found == [missing({"tool_name"})] with input as fixtures.call_with({"/tool_name": name})
	}
	found == [missing({"tool_name"})] with input as fixtures.call_with({
		"/tool_name": 5,
		"/claims/allowed_tools": [5],
	})
	facts.tool_granted with input as fixtures.call
	not facts.tool_granted with input as fixtures.call_with({"/tool_name": "delete_invoice"})
	not facts.tool_granted with input as fixtures.delegation
	not facts.tool_granted with input as {}
	not facts.tool_granted with input as fixtures.call_with({"/claims/allowed_tools": "read_invoices"})
	not facts.tool_granted with input as fixtures.call_with({"/claims/allowed_tools": {"0": "read_invoices"}})
	not facts.tool_granted with input as fixtures.call_with({"/claims/allowed_tools": {"read_invoices": true}})
	[name | some name in ["any"]; granted_if_listed(name)] == ["any"]
	[name | some name in fixtures.not_strings; granted_if_listed(name)] == []
	tools := [name | some number in numbers.range(1, 300); name := sprintf("tool_%d", [number])]
	facts.tool_granted with input as fixtures.call_with({
		"/tool_name": tools[299],
		"/claims/allowed_tools": tools,
	})
	not facts.tool_granted with input as fixtures.call_with({"/claims/allowed_tools": tools})
}

test_missing_allowed_tools_deny if {
	found == [missing({"claims.allowed_tools"})] with input as fixtures.call_without(["/claims/allowed_tools"])
	found == [missing({"claims.allowed_tools"})] with input as fixtures.call_without(["/claims"])
}

test_unfit_allowed_tools_deny if {
	every tools in fixtures.not_arrays {
		found == [missing({"claims.allowed_tools"})] with input as fixtures.call_with({"/claims/allowed_tools": tools})
	}
}
