# METADATA
# title: Rate limit exceeded
# description: >-
#   The session's bucket of the minute or of the hour is empty. Where both are, the violation names
#   the one that takes longer to refill.
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
}

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
		rate_binding,
		rate[rate_binding].retry_after_seconds,
	]),
	"retry_guidance": "wait",
	"retry_after_seconds": rate[rate_binding].retry_after_seconds,
}

# The window that decides: the one that is empty, of two the one with the longer wait.
rate_binding := "minute" if {
	rate.hour.granted
} else := "hour" if {
	rate.minute.granted
} else := "minute" if {
	minute := rate.minute.retry_after_seconds
	hour := rate.hour.retry_after_seconds
	is_number(minute)
	is_number(hour)
	minute > hour
} else := "hour"

rate_missing contains sprintf("session.rate.%s.granted", [name]) if {
	some name in ["minute", "hour"]
	not is_boolean(rate[name].granted)
}

rate_missing contains sprintf("session.rate.%s.%s", [name, fact]) if {
	some name in ["minute", "hour"]
	rate[name].granted == false
	some fact in ["limit", "retry_after_seconds"]
	not is_number(rate[name][fact])
}
