package scopebound.facts_test

import rego.v1

import data.scopebound.facts
import data.scopebound.fixtures_test as fixtures

test_both_kinds_of_tool_calls if {
	facts.tool_call with input as fixtures.call
	facts.tool_call with input as fixtures.mcp_call
	not facts.tool_call with input as fixtures.delegation
	not facts.tool_call with input as fixtures.call_with({"/action": "spawn"})
	not facts.tool_call with input as {}
}

test_mcp_tool_call if {
	facts.mcp_tool_call with input as fixtures.mcp_call
	not facts.mcp_tool_call with input as fixtures.call
	not facts.mcp_tool_call with input as fixtures.delegation
}

test_delegation if {
	facts.delegation with input as fixtures.delegation
	not facts.delegation with input as fixtures.call
	not facts.delegation with input as fixtures.mcp_call
}

test_tool_granted if {
	facts.tool_granted with input as fixtures.call
	not facts.tool_granted with input as fixtures.call_with({"/tool_name": "delete_invoice"})
	not facts.tool_granted with input as fixtures.delegation
	not facts.tool_granted with input as {}
}

test_tool_in_text_or_object_is_not_granted if {
	not facts.tool_granted with input as fixtures.call_with({"/claims/allowed_tools": "read_invoices"})
	not facts.tool_granted with input as fixtures.call_with({"/claims/allowed_tools": {"0": "read_invoices"}})
	not facts.tool_granted with input as fixtures.call_with({"/claims/allowed_tools": {"read_invoices": true}})
}

granted_if_listed(name) if {
	facts.tool_granted with input as fixtures.call_with({
		"/tool_name": name,
		"/claims/allowed_tools": [name],
	})
}

test_unfit_name_is_not_granted if {
	[name | some name in ["any"]; granted_if_listed(name)] == ["any"]
	[name | some name in fixtures.not_strings; granted_if_listed(name)] == []
}

test_tool_granted_among_many if {
	tools := [name | some number in numbers.range(1, 300); name := sprintf("tool_%d", [number])]
	facts.tool_granted with input as fixtures.call_with({
		"/tool_name": tools[299],
		"/claims/allowed_tools": tools,
	})
	not facts.tool_granted with input as fixtures.call_with({"/claims/allowed_tools": tools})
}

depth_left(remaining) if {
	facts.depth_left with input as fixtures.call_with({"/claims/delegation_depth_remaining": remaining})
}

test_depth_left if {
	[remaining | some remaining in [-1, 0, 0.5, 1, 3]; depth_left(remaining)] == [1, 3]
	[wrong | some wrong in fixtures.not_numbers; depth_left(wrong)] == []
}

test_listed_shows_ten if {
	facts.listed([]) == "[]"
	facts.listed(["a", 1]) == `["a", 1]`
	facts.listed([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
	facts.listed([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) == "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10] and 1 more"
}

test_shown_is_json if {
	[shown | some value in ["a", 1, 1.5, true, null, {"a": 1}]; shown := facts.shown(value)] == [
		`"a"`,
		"1",
		"1.5",
		"true",
		"null",
		`{"a": 1}`,
	]
}

test_shown_list_is_bounded if {
	facts.shown(["a", "b"]) == `["a", "b"]`
	facts.shown([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) == "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10] and 2 more"
}
