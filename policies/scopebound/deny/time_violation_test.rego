package scopebound.deny.time_violation_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "TIME_VIOLATION"
]

denial(rest) := object.union(
	{"code": "TIME_VIOLATION", "severity": "medium", "retry_guidance": "none"},
	rest,
)

missing(paths) := denial({"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths])})

# The hours of the day at which a call within [start, end) is denied.
denied_hours(start, end) := [hour |
	some hour in numbers.range(0, 23)
	denied(start, end, hour)
]

denied(start, end, hour) if {
	count(found) == 1 with input as fixtures.call_with({
		"/claims/allowed_hours_start": start,
		"/claims/allowed_hours_end": end,
		"/now/hour": hour,
	})
}

weekday(day, days) := fixtures.call_with({"/claims/allowed_days": days, "/now/weekday": day})

unrestricted := fixtures.call_with({
	"/claims/allowed_hours_start": 0,
	"/claims/allowed_hours_end": 0,
	"/claims/allowed_days": [],
})

test_hours_of_the_window if {
	denied_hours(8, 20) == [0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22, 23]
	denied_hours(0, 0) == []
	denied_hours(5, 5) == numbers.range(0, 23)
	denied_hours(9, 10) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]
}

test_start_zero_is_midnight if {
	denied_hours(0, 22) == [22, 23]
}

test_end_zero_means_until_midnight if {
	denied_hours(3, 0) == [0, 1, 2]
}

test_start_after_end_wraps_over_midnight if {
	denied_hours(22, 6) == [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]
	denied_hours(23, 22) == [22]
}

test_hour_outside_denies_every_tool_call if {
	found == [denial({"reason": "hour 20 UTC is outside allowed_hours_start 8 to allowed_hours_end 20 (exclusive)"})] with input as fixtures.call_with({"/now/hour": 20})
	found == [denial({"reason": "hour 7 UTC is outside allowed_hours_start 8 to allowed_hours_end 20 (exclusive)"})] with input as fixtures.call_with({
		"/now/hour": 7,
		"/now/weekday": 6,
	})
	count(found) == 1 with input as fixtures.changed(fixtures.mcp_call, {"/now/hour": 20})
	found == [] with input as fixtures.changed(fixtures.delegation, {"/now/hour": 20})
}

test_days_that_are_listed_pass_and_no_list_restricts_nothing if {
	every day in [0, 1, 2, 3, 4] {
		found == [] with input as weekday(day, [0, 1, 2, 3, 4])
	}
	found == [denial({"reason": "weekday 5 UTC (0 is Monday) is not in allowed_days [0, 1, 2, 3, 4]"})] with input as fixtures.call_with({"/now/weekday": 5})
	count(found) == 1 with input as weekday(6, [0, 1, 2, 3, 4])
	count(found) == 1 with input as weekday(0, [6])
	every day in [0, 3, 6] {
		found == [] with input as weekday(day, [])
	}
	count(found) == 1 with input as weekday(2, ["2"])
}

test_missing_facts_deny if {
	found == [missing({"now.hour"})] with input as fixtures.call_without(["/now/hour"])
	found == [missing({"now.weekday"})] with input as fixtures.call_without(["/now/weekday"])
	found == [missing({"claims.allowed_hours_start"})] with input as fixtures.call_without(["/claims/allowed_hours_start"])
	found == [missing({"claims.allowed_hours_end"})] with input as fixtures.call_without(["/claims/allowed_hours_end"])
	found == [missing({"claims.allowed_days"})] with input as fixtures.call_without(["/claims/allowed_days"])
	found == [missing({"now.hour"})] with input as fixtures.without(unrestricted, ["/now/hour"])
	found == [missing({"now.weekday"})] with input as fixtures.without(unrestricted, ["/now/weekday"])
	found == [missing({"claims.allowed_hours_start"})] with input as fixtures.without(unrestricted, ["/claims/allowed_hours_start"])
	found == [missing({"claims.allowed_hours_end"})] with input as fixtures.without(unrestricted, ["/claims/allowed_hours_end"])
}

test_unfit_clock_denies if {
	every wrong in fixtures.not_numbers {
		found == [missing({"now.hour"})] with input as fixtures.call_with({"/now/hour": wrong})
		found == [missing({"now.hour"})] with input as fixtures.changed(unrestricted, {"/now/hour": wrong})
		found == [missing({"now.weekday"})] with input as fixtures.call_with({"/now/weekday": wrong})
		found == [missing({"now.weekday"})] with input as fixtures.changed(unrestricted, {"/now/weekday": wrong})
	}
}

test_unfit_hour_denies_in_a_window_over_midnight if {
	every wrong in fixtures.not_numbers {
		found == [missing({"now.hour"})] with input as fixtures.call_with({
			"/claims/allowed_hours_start": 22,
			"/claims/allowed_hours_end": 6,
			"/now/hour": wrong,
		})
	}
}

test_unfit_weekday_that_is_listed_denies if {
	found == [missing({"now.weekday"})] with input as weekday("2", ["2"])
}

test_unfit_window_denies if {
	every wrong in fixtures.not_numbers {
		found == [missing({"claims.allowed_hours_start"})] with input as fixtures.call_with({"/claims/allowed_hours_start": wrong})
		found == [missing({"claims.allowed_hours_end"})] with input as fixtures.call_with({"/claims/allowed_hours_end": wrong})
	}
}

test_unfit_days_deny if {
	every wrong in fixtures.not_arrays {
		found == [missing({"claims.allowed_days"})] with input as fixtures.call_with({"/claims/allowed_days": wrong})
	}
	found == [missing({"claims.allowed_days"})] with input as fixtures.call_with({"/claims/allowed_days": {"a": 2}})
}
