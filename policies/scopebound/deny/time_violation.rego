# METADATA
# title: Time violation
# description: >-
#   The UTC hour or day is outside the role's window. The start is inclusive and the end exclusive;
#   both 0 restrict nothing; a start after the end wraps over midnight, so an end of 0 means until
#   midnight. No days restrict nothing.
# custom:
#   code: TIME_VIOLATION
#   severity: medium
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "TIME_VIOLATION",
	"severity": "medium",
	"reason": time_reason,
	"retry_guidance": "none",
} if {
	facts.tool_call
	not time_open
}

time_open if {
	time_in_hours(facts.claims.allowed_hours_start, facts.claims.allowed_hours_end, facts.now.hour)
	time_on_day(facts.claims.allowed_days, facts.now.weekday)
}

time_in_hours(start, end, hour) if {
	is_number(start)
	is_number(end)
	is_number(hour)
	hour >= start
	hour < end
} else if {
	is_number(start)
	is_number(end)
	is_number(hour)
	start > end
	true in [hour >= start, hour < end]
} else if {
	start == 0
	end == 0
	is_number(hour)
}

time_on_day(days, weekday) if {
	is_number(weekday)
	is_array(days)
	weekday in days
} else if {
	is_number(weekday)
	days == []
}

time_reason := facts.missing(time_missing) if {
	count(time_missing) > 0
} else := sprintf("weekday %v UTC (0 is Monday) is not in allowed_days %s", [
	facts.now.weekday,
	facts.listed(facts.claims.allowed_days),
]) if {
	time_in_hours(facts.claims.allowed_hours_start, facts.claims.allowed_hours_end, facts.now.hour)
} else := sprintf("hour %v UTC is outside allowed_hours_start %v to allowed_hours_end %v (exclusive)", [
	facts.now.hour,
	facts.claims.allowed_hours_start,
	facts.claims.allowed_hours_end,
])

time_missing contains "now.hour" if not is_number(facts.now.hour)

time_missing contains "now.weekday" if not is_number(facts.now.weekday)

time_missing contains "claims.allowed_hours_start" if {
	not is_number(facts.claims.allowed_hours_start)
}

time_missing contains "claims.allowed_hours_end" if not is_number(facts.claims.allowed_hours_end)

time_missing contains "claims.allowed_days" if not is_array(facts.claims.allowed_days)
