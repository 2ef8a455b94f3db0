# METADATA
# title: Fixtures
# description: >-
#   A call, an MCP call and a delegation that are allowed; tests change one fact of them. Facts are
#   named by JSON pointers, so that a test reads as what differs. What most rules read comes first:
#   the engine goes through an object key by key.
package scopebound.fixtures_test

import rego.v1

call := {
	"action": "tool_call",
	"claims": {
		"exp": 1800003600,
		"allowed_tools": ["read_invoices", "send_email"],
		"allowed_hours_start": 8,
		"allowed_hours_end": 20,
		"allowed_days": [0, 1, 2, 3, 4],
		"data_scope": {"allowed_envs": ["staging", "production"], "max_rows": 1000},
		"delegation_depth_remaining": 1,
		"bound": {"approval_required": [], "allowed_mcp_servers": []},
	},
	"now": {"epoch_ms": 1800000000000, "hour": 12, "weekday": 2},
	"session": {
		"rate": {
			"minute": {"limit": 30, "granted": true, "remaining": 29, "retry_after_seconds": 0},
			"hour": {"limit": 500, "granted": true, "remaining": 499, "retry_after_seconds": 0},
		},
		"drift": {
			"ready": true,
			"log_evidence": -2.5,
			"latched": false,
			"calls": 12,
			"baseline_sessions": 50,
		},
		"revoked": false,
		"revoked_reason": null,
	},
	"tool_name": "read_invoices",
	"call_args": {"amount": 25000},
	"call_id": "call-1",
	"mcp_server": null,
	"constraints": [],
	"matches": {},
}

mcp_call := changed(call, {
	"/action": "mcp_tool_call",
	"/mcp_server": "ledger",
	"/claims/bound/allowed_mcp_servers": ["ledger", "mail"],
})

delegation := changed(call, {
	"/action": "delegate",
	"/tool_name": null,
	"/child": {"role": "helper", "allowed_tools": ["send_email"], "ttl_seconds": 600},
})

changed(document, facts) := json.patch(
	document,
	[{"op": "add", "path": path, "value": facts[path]} | some path in object.keys(facts)],
)

without(document, paths) := json.patch(
	document,
	[{"op": "remove", "path": path} | some path in paths],
)

call_with(facts) := changed(call, facts)

call_without(paths) := without(call, paths)

# What a wrong-typed fact may be; a test takes those that its rule must refuse.
not_numbers := [null, true, false, "", "12", [], [12], {}]

not_booleans := [null, 0, 1, "", "true", "false", [], {}]

not_strings := [null, true, 0, 12, [], ["read_invoices"], {}]

not_arrays := [null, true, 0, "", "read_invoices", {}, {"0": "read_invoices"}]

not_objects := [null, true, 0, "", "env", [], ["env"]]
