package scopebound.main_test

import rego.v1

import data.scopebound
import data.scopebound.config
import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

allowed := {"allow": true, "violations": []}

codes := [violation.code | some violation in scopebound.decision.violations]

# One call that breaks every rule for tool calls, and one for delegations.
hopeless_call := fixtures.changed(fixtures.mcp_call, {
	"/tool_name": "delete_invoice",
	"/mcp_server": "shell",
	"/call_args": {"env": "prod", "limit": 1001},
	"/claims/exp": 1,
	"/claims/bound/approval_required": ["delete_invoice"],
	"/constraints": null,
	"/now/hour": 3,
	"/session/rate/minute": {"limit": 30, "granted": false, "remaining": 0, "retry_after_seconds": 2},
	"/session/drift/latched": true,
})

hopeless_delegation := fixtures.changed(fixtures.delegation, {
	"/claims/exp": 1,
	"/claims/delegation_depth_remaining": 0,
	"/child/allowed_tools": ["shell"],
})

test_allowed_are_granted_calls_within_all_bounds if {
	scopebound.decision == allowed with input as fixtures.call
	scopebound.decision == allowed with input as fixtures.mcp_call
	scopebound.decision == allowed with input as fixtures.delegation
	scopebound.decision == allowed with input as fixtures.call_with({
		"/call_args": {"env": "anything", "limit": 1000000},
		"/claims/allowed_hours_start": 0,
		"/claims/allowed_hours_end": 0,
		"/claims/allowed_days": [],
		"/claims/data_scope": {"allowed_envs": [], "max_rows": 0},
		"/claims/delegation_depth_remaining": 0,
	})
	every facts in [{"/tool_name": "delete_invoice"}, {"/action": "spawn"}] {
		scopebound.allow == false with input as fixtures.call_with(facts) with data.scopebound.deny.violation as set()
	}
	scopebound.allow with input as fixtures.call with data.scopebound.deny.violation as set()
}

test_broken_rule_or_missing_fact_denies if {
	every facts in [
		{"/now/epoch_ms": 1800003600000},
		{"/session/revoked": true},
		{"/tool_name": "delete_invoice"},
		{"/action": "spawn"},
		{"/call_args/env": "prod"},
		{"/call_args/limit": 1001},
		{"/now/hour": 20},
		{"/now/weekday": 6},
		{"/claims/bound/approval_required": ["read_invoices"]},
		{"/session/rate/minute": {"limit": 1, "granted": false, "remaining": 0, "retry_after_seconds": 1}},
		{"/session/drift/latched": true},
		{"/constraints": null},
	] {
		count(codes) == 1 with input as fixtures.call_with(facts)
		scopebound.allow == false with input as fixtures.call_with(facts)
	}
	scopebound.decision == {
		"allow": false,
		"violations": [{
			"code": "SCOPE_VIOLATION",
			"severity": "medium",
			"reason": `tool "delete_invoice" is not in allowed_tools; allowed: ["read_invoices", "send_email"]`,
			"retry_guidance": "none",
		}],
	} with input as fixtures.call_with({"/tool_name": "delete_invoice"})
	codes == ["SESSION_EXPIRED", "SCOPE_VIOLATION"] with input as {}
	scopebound.allow == false with input as {}
	every wrong in [null, true, 5, "tool_call", [], ["tool_call"]] {
		codes == ["SESSION_EXPIRED", "SCOPE_VIOLATION"] with input as wrong
		scopebound.allow == false with input as wrong
	}
	every action in ["tool_call", "mcp_tool_call", "delegate"] {
		scopebound.allow == false with input as {"action": action}
	}
	every path in [
		"/claims",
		"/claims/exp",
		"/claims/allowed_tools",
		"/claims/allowed_hours_start",
		"/claims/allowed_hours_end",
		"/claims/allowed_days",
		"/claims/data_scope",
		"/claims/bound",
		"/now",
		"/session",
		"/constraints",
		"/call_args",
		"/tool_name",
		"/action",
	] {
		scopebound.allow == false with input as fixtures.call_without([path])
		count(codes) > 0 with input as fixtures.call_without([path])
	}
}

test_order_is_that_of_the_data if {
	codes == [
		"SESSION_EXPIRED",
		"SCOPE_VIOLATION",
		"MCP_SERVER_UNAUTHORIZED",
		"ENV_VIOLATION",
		"PARAMETER_VIOLATION",
		"DATA_LIMIT_EXCEEDED",
		"TIME_VIOLATION",
		"APPROVAL_REQUIRED",
		"RATE_LIMIT_EXCEEDED",
		"BEHAVIORAL_DRIFT",
	] with input as hopeless_call
	codes == [
		"SESSION_EXPIRED",
		"DELEGATION_DEPTH_EXCEEDED",
		"DELEGATION_SCOPE_EXCEEDED",
	] with input as hopeless_delegation with data.scopebound.config.delegation.attenuate as true
	codes == ["ENV_VIOLATION", "SCOPE_VIOLATION"] with input as fixtures.call_with({
		"/tool_name": "delete_invoice",
		"/call_args/env": "prod",
	})
		with data.scopebound.config.precedence as ["ENV_VIOLATION", "SCOPE_VIOLATION"]
	twice := fixtures.call_with({"/tool_name": "delete_invoice", "/call_args/env": "prod"})
	codes == ["ENV_VIOLATION", "SCOPE_VIOLATION"] with input as twice with data.scopebound.config.precedence as ["ENV_VIOLATION"]
	scopebound.allow == false with input as twice with data.scopebound.config.precedence as ["ENV_VIOLATION"]
	codes == ["ENV_VIOLATION", "SCOPE_VIOLATION"] with input as twice with data.scopebound.config.precedence as ["SCOPE", "scope_violation", "ENV_VIOLATION"]
	scopebound.allow == false with input as hopeless_call with data.scopebound.config.precedence as []
	count(codes) == 10 with input as hopeless_call with data.scopebound.config.precedence as []
	count(codes) == 10 with input as hopeless_call with data.scopebound.config as {}
	count(codes) == count(deny.violation) with input as hopeless_call
}

test_precedence_names_each_code_once if {
	count(config.precedence) == 12
	count({code | some code in config.precedence}) == 12
}

test_nothing_is_allowed_without_a_grant if {
	not scopebound.granted with input as {}
	not scopebound.granted with input as fixtures.call_with({"/action": "spawn"})
	not scopebound.granted with input as fixtures.call_with({"/tool_name": "delete_invoice"})
	not scopebound.granted with input as fixtures.call_with({"/action": "delegate", "/claims/delegation_depth_remaining": 0})
	scopebound.granted with input as fixtures.delegation
}
