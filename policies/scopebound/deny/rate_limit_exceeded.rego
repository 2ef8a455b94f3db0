# METADATA
# title: Rate limit exceeded
# description: >-
#   The session's bucket of the minute or of the hour is empty, or that of the MCP server which the
#   call names and the role limits. Of several empty ones the violation names the one that takes
#   longest to refill.
# custom:
#   code: RATE_LIMIT_EXCEEDED
#   severity: medium
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains rate_denial if {
	facts.tool_call
	not rate_granted
}

rate := facts.session.rate

rate_granted if {
	rate.minute.granted == true
	rate.hour.granted == true
	rate_server_granted
}

rate_server_granted if {
	not rate_server_limited
} else if {
	rate.server.granted == true
}

rate_server_limited if "server" in object.keys(rate)

rate_server_limited if input.mcp_server in object.keys(facts.bound.mcp_server_rate_limits)

rate_denial := {
	"code": "RATE_LIMIT_EXCEEDED",
	"severity": "medium",
	"reason": facts.missing(rate_missing),
	"retry_guidance": "none",
} if {
	count(rate_missing) > 0
} else := {
	"code": "RATE_LIMIT_EXCEEDED",
	"severity": "medium",
	"reason": sprintf("the limit of %v calls per %s is used up; wait %v s", [
		rate[rate_binding].limit,
		rate_meaning,
		rate[rate_binding].retry_after_seconds,
	]),
	"retry_guidance": "wait",
	"retry_after_seconds": rate[rate_binding].retry_after_seconds,
}

# The window that decides: the empty one that takes longest to refill.
rate_binding := "hour" if {
	rate_decides("hour")
} else := "server" if {
	rate_decides("server")
} else := "minute"

rate_decides(name) if {
	rate[name].granted == false
	not rate_outwaited(name)
}

rate_outwaited(name) if {
	some other in rate_windows
	rate[other].granted == false
	longer := rate[other].retry_after_seconds
	shorter := rate[name].retry_after_seconds
	is_number(longer)
	is_number(shorter)
	longer > shorter
}

rate_meaning := sprintf("minute to the MCP server %s", [facts.shown(input.mcp_server)]) if {
	rate_binding == "server"
} else := rate_binding

rate_windows contains name if some name in ["minute", "hour"]

rate_windows contains "server" if rate_server_limited

rate_missing contains sprintf("session.rate.%s.granted", [name]) if {
	some name in rate_windows
	not is_boolean(rate[name].granted)
}

rate_missing contains sprintf("session.rate.%s.%s", [name, fact]) if {
	some name in rate_windows
	rate[name].granted == false
	some fact in ["limit", "retry_after_seconds"]
	not is_number(rate[name][fact])
}
