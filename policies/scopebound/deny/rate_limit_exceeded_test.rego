package scopebound.deny.rate_limit_exceeded_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "RATE_LIMIT_EXCEEDED"
]

denial(rest) := object.union({"code": "RATE_LIMIT_EXCEEDED", "severity": "medium"}, rest)

missing(paths) := denial({
	"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths]),
	"retry_guidance": "none",
})

empty(limit, seconds) := {
	"limit": limit,
	"granted": false,
	"remaining": 0,
	"retry_after_seconds": seconds,
}

minute(seconds) := denial({
	"reason": sprintf("the limit of 30 calls per minute is used up; wait %v s", [seconds]),
	"retry_guidance": "wait",
	"retry_after_seconds": seconds,
})

hour(seconds) := denial({
	"reason": sprintf("the limit of 500 calls per hour is used up; wait %v s", [seconds]),
	"retry_guidance": "wait",
	"retry_after_seconds": seconds,
})

both(minute_seconds, hour_seconds) := fixtures.call_with({
	"/session/rate/minute": empty(30, minute_seconds),
	"/session/rate/hour": empty(500, hour_seconds),
})

# A call to an MCP server of 60 calls per minute.
server_call := fixtures.changed(fixtures.mcp_call, {
	"/claims/bound/mcp_server_rate_limits": {"ledger": 60},
	"/session/rate/server": {"limit": 60, "granted": true, "remaining": 59, "retry_after_seconds": 0},
})

to_server(facts) := fixtures.changed(server_call, facts)

server(seconds) := denial({
	"reason": sprintf("the limit of 60 calls per minute to the MCP server \"ledger\" is used up; wait %v s", [seconds]),
	"retry_guidance": "wait",
	"retry_after_seconds": seconds,
})

all_empty(minute_seconds, hour_seconds, server_seconds) := to_server({
	"/session/rate/minute": empty(30, minute_seconds),
	"/session/rate/hour": empty(500, hour_seconds),
	"/session/rate/server": empty(60, server_seconds),
})

test_granted_call_passes if {
	found == [] with input as fixtures.call
	found == [] with input as fixtures.call_with({
		"/session/rate/minute/remaining": 0,
		"/session/rate/hour/remaining": 0,
	})
	found == [] with input as fixtures.call_with({
		"/session/rate/minute": {"limit": 0, "granted": true, "remaining": 0, "retry_after_seconds": 0},
		"/session/rate/hour": {"limit": 0, "granted": true, "remaining": 0, "retry_after_seconds": 0},
	})
	found == [] with input as server_call
	found == [] with input as to_server({"/session/rate/server/remaining": 0})
}

test_empty_window_denies_every_tool_call if {
	found == [minute(2)] with input as fixtures.call_with({"/session/rate/minute": empty(30, 2)})
	found == [hour(7)] with input as fixtures.call_with({"/session/rate/hour": empty(500, 7)})
	found == [hour(7)] with input as both(2, 7)
	found == [minute(60)] with input as both(60, 7)
	found == [minute(10)] with input as both(10, 9)
	found == [hour(7)] with input as both(7, 7)
	found == [minute(2)] with input as fixtures.changed(
		fixtures.mcp_call,
		{"/session/rate/minute": empty(30, 2)},
	)
	found == [] with input as fixtures.changed(
		fixtures.delegation,
		{"/session/rate/minute": empty(30, 2)},
	)
	found == [] with input as fixtures.without(fixtures.delegation, ["/session/rate"])
	found == [server(9)] with input as all_empty(2, 7, 9)
	found == [server(10)] with input as all_empty(9, 9, 10)
	found == [hour(9)] with input as all_empty(2, 9, 7)
	found == [hour(10)] with input as all_empty(9, 10, 9)
	found == [minute(9)] with input as all_empty(9, 2, 7)
	found == [hour(7)] with input as all_empty(7, 7, 7)
	found == [server(7)] with input as all_empty(7, 2, 7)
	found == [minute(7)] with input as to_server({"/session/rate/minute": empty(30, 7)})
	found == [server(2)] with input as to_server({
		"/session/rate/minute/retry_after_seconds": 9,
		"/session/rate/server": empty(60, 2),
	})
}

test_missing_or_unfit_grant_denies if {
	found == [missing({"session.rate.minute.granted"})] with input as fixtures.call_without(["/session/rate/minute"])
	found == [missing({"session.rate.hour.granted"})] with input as fixtures.call_without(["/session/rate/hour"])
	found == [missing({"session.rate.minute.granted", "session.rate.hour.granted"})] with input as fixtures.call_without(["/session/rate"])
	found == [missing({"session.rate.minute.granted", "session.rate.hour.granted"})] with input as fixtures.call_without(["/session"])
	found == [missing({"session.rate.minute.granted"})] with input as fixtures.call_without(["/session/rate/minute/granted"])
	found == [missing({"session.rate.hour.granted"})] with input as fixtures.call_without(["/session/rate/hour/granted"])
	found == [missing({"session.rate.server.granted"})] with input as fixtures.without(server_call, ["/session/rate/server"])
	found == [missing({"session.rate.server.granted"})] with input as fixtures.without(server_call, ["/session/rate/server/granted"])
	every granted in fixtures.not_booleans {
		found == [missing({"session.rate.minute.granted"})] with input as fixtures.call_with({"/session/rate/minute/granted": granted})
		found == [missing({"session.rate.hour.granted"})] with input as fixtures.call_with({"/session/rate/hour/granted": granted})
	}
}

test_wait_and_limit_of_an_empty_window_are_needed if {
	found == [missing({"session.rate.minute.limit"})] with input as fixtures.without(
		both(2, 7),
		["/session/rate/minute/limit"],
	)
	found == [missing({"session.rate.hour.retry_after_seconds"})] with input as fixtures.without(
		both(2, 7),
		["/session/rate/hour/retry_after_seconds"],
	)
	every seconds in fixtures.not_numbers {
		found == [missing({"session.rate.minute.retry_after_seconds"})] with input as both(seconds, 5)
		found == [missing({"session.rate.hour.retry_after_seconds"})] with input as both(5, seconds)
	}
	found == [minute(2)] with input as fixtures.without(
		fixtures.call_with({"/session/rate/minute": empty(30, 2)}),
		["/session/rate/hour/limit", "/session/rate/hour/retry_after_seconds"],
	)
	every granted in fixtures.not_booleans {
		found == [missing({"session.rate.server.granted"})] with input as to_server({"/session/rate/server/granted": granted})
	}
	every seconds in fixtures.not_numbers {
		found == [missing({"session.rate.server.retry_after_seconds"})] with input as all_empty(5, 5, seconds)
	}
	found == [missing({"session.rate.server.limit"})] with input as fixtures.without(
		all_empty(2, 7, 9),
		["/session/rate/server/limit"],
	)
}

test_unfit_limit_denies_without_a_hint if {
	every calls in fixtures.not_numbers {
		found == [missing({"session.rate.hour.limit"})] with input as fixtures.call_with({"/session/rate/hour": empty(calls, 7)})
	}
}

test_empty_server_denies if {
	found == [server(12)] with input as to_server({"/session/rate/server": empty(60, 12)})
	found == [server(12)] with input as fixtures.without(
		to_server({"/session/rate/server": empty(60, 12)}),
		["/claims/bound/mcp_server_rate_limits"],
	)
}

test_other_servers_are_not_limited if {
	found == [] with input as fixtures.changed(fixtures.mcp_call, {"/claims/bound/mcp_server_rate_limits": {}})
	found == [] with input as fixtures.changed(
		fixtures.mcp_call,
		{"/claims/bound/mcp_server_rate_limits": {"mail": 60}},
	)
	found == [] with input as fixtures.call_with({"/claims/bound/mcp_server_rate_limits": {"ledger": 60}})
}
