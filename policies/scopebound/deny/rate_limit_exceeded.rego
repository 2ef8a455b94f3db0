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

rate_server_limited if facts.known(rate.server)

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
		rate_limit(rate_binding),
		rate_meaning,
		rate_wait(rate_binding),
	]),
	"retry_guidance": "wait",
	"retry_after_seconds": rate_wait(rate_binding),
}

# The window that decides: the empty one that takes longest to refill.
rate_binding := "hour" if {
	rate_decides("hour")
} else := "server" if {
	rate_decides("server")
} else := "minute"

rate_decides(name) if {
	rate_open(name) == false
	not rate_outwaited(name)
}

rate_outwaited(name) if {
	some other in rate_windows
	rate_open(other) == false
	longer := rate_wait(other)
	shorter := rate_wait(name)
	is_number(longer)
	is_number(shorter)
	longer > shorter
}

rate_meaning := sprintf("minute to the MCP server %s", [facts.shown(input.mcp_server)]) if {
	rate_binding == "server"
} else := rate_binding

rate_open("minute") := rate.minute.granted

rate_open("hour") := rate.hour.granted

rate_open("server") := rate.server.granted

rate_limit("minute") := rate.minute.limit

rate_limit("hour") := rate.hour.limit

rate_limit("server") := rate.server.limit

rate_wait("minute") := rate.minute.retry_after_seconds

rate_wait("hour") := rate.hour.retry_after_seconds

rate_wait("server") := rate.server.retry_after_seconds

rate_windows contains name if some name in ["minute", "hour"]

rate_windows contains "server" if rate_server_limited

rate_missing contains sprintf("session.rate.%s.granted", [name]) if {
	some name in rate_windows
	not is_boolean(rate_open(name))
}

rate_missing contains sprintf("session.rate.%s.limit", [name]) if {
	some name in rate_windows
	rate_open(name) == false
	not is_number(rate_limit(name))
}

rate_missing contains sprintf("session.rate.%s.retry_after_seconds", [name]) if {
	some name in rate_windows
	rate_open(name) == false
	not is_number(rate_wait(name))
}
