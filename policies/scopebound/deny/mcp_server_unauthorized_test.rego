package scopebound.deny.mcp_server_unauthorized_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "MCP_SERVER_UNAUTHORIZED"
]

denial(rest) := object.union({"code": "MCP_SERVER_UNAUTHORIZED", "severity": "high"}, rest)

unnamed := denial({
	"reason": `mcp_server must name the MCP server, one of ["ledger", "mail"]`,
	"retry_guidance": "change_args",
})

missing := denial({
	"reason": `cannot be judged, missing or of the wrong type: {"claims.bound.allowed_mcp_servers"}`,
	"retry_guidance": "none",
})

mcp_call_with(facts) := fixtures.changed(fixtures.mcp_call, facts)

mcp_call_without(paths) := fixtures.without(fixtures.mcp_call, paths)

test_only_mcp_calls_to_unlisted_servers_deny if {
	found == [] with input as fixtures.mcp_call
	found == [] with input as mcp_call_with({"/mcp_server": "mail"})
	found == [denial({
		"reason": `MCP server "shell" is not in allowed_mcp_servers ["ledger", "mail"]`,
		"retry_guidance": "request_access",
	})] with input as mcp_call_with({"/mcp_server": "shell"})
	unlisted := {"/mcp_server": "shell", "/claims/bound/allowed_mcp_servers": ["ledger"]}
	found == [] with input as fixtures.call_with(unlisted)
	found == [] with input as fixtures.changed(fixtures.delegation, unlisted)
}

test_names_are_compared_exactly if {
	every name in ["Ledger", "ledger ", "", "led"] {
		count(found) == 1 with input as mcp_call_with({"/mcp_server": name})
	}
}

test_absent_or_unfit_server_denies if {
	found == [unnamed] with input as mcp_call_without(["/mcp_server"])
	every server in fixtures.not_strings {
		found == [unnamed] with input as mcp_call_with({"/mcp_server": server})
	}
}

test_unfit_server_that_is_listed_denies if {
	count(found) == 1 with input as mcp_call_with({
		"/mcp_server": 5,
		"/claims/bound/allowed_mcp_servers": [5],
	})
}

test_empty_list_restricts_nothing if {
	found == [] with input as mcp_call_with({"/claims/bound/allowed_mcp_servers": []})
	found == [] with input as mcp_call_with({
		"/mcp_server": null,
		"/claims/bound/allowed_mcp_servers": [],
	})
}

test_missing_list_denies if {
	found == [missing] with input as mcp_call_without(["/claims/bound/allowed_mcp_servers"])
	found == [missing] with input as mcp_call_without(["/claims/bound"])
	found == [missing] with input as mcp_call_without(["/claims"])
}

test_unfit_list_denies if {
	every servers in fixtures.not_arrays {
		found == [missing] with input as mcp_call_with({"/claims/bound/allowed_mcp_servers": servers})
	}
	found == [missing] with input as mcp_call_with({"/claims/bound/allowed_mcp_servers": {"0": "ledger"}})
}
