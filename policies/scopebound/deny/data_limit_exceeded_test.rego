package scopebound.deny.data_limit_exceeded_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "DATA_LIMIT_EXCEEDED"
]

denial(rest) := object.union({"code": "DATA_LIMIT_EXCEEDED", "severity": "high"}, rest)

missing(paths) := denial({
	"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths]),
	"retry_guidance": "none",
})

unfit := denial({
	"reason": "limit must be a whole number from 1 to 1000",
	"retry_guidance": "change_args",
})

limit(value) := fixtures.call_with({"/call_args/limit": value})

test_one_more_denies_every_tool_call if {
	found == [denial({
		"reason": "limit is 1001; a whole number from 1 to 1000 is allowed",
		"retry_guidance": "change_args",
	})] with input as limit(1001)
	count(found) == 1 with input as fixtures.changed(fixtures.mcp_call, {"/call_args/limit": 1001})
	found == [] with input as fixtures.changed(fixtures.delegation, {"/call_args/limit": 1001})
	every value in [9223372036854775808, 100000000000000000000000000000000000000000, 1e300] {
		count(found) == 1 with input as limit(value)
	}
}

test_less_than_one_denies if {
	every value in [0, -1, -1000, 0.5] {
		count(found) == 1 with input as limit(value)
	}
}

test_fraction_denies if {
	every value in [1.5, 999.5, 999.9999, 1000.5] {
		count(found) == 1 with input as limit(value)
	}
}

test_limits_within_max_rows_pass if {
	every value in [1, 2, 999, 1000] {
		found == [] with input as limit(value)
	}
	every value in [1001, 0, -1, 1.5, 1e300, "12", true, null, [12]] {
		found == [] with input as fixtures.call_with({
			"/call_args/limit": value,
			"/claims/data_scope/max_rows": 0,
		})
	}
	count(found) == 1 with input as fixtures.call_with({
		"/call_args/limit": 1,
		"/claims/data_scope/max_rows": -1,
	})
	found == [] with input as fixtures.call
	found == [] with input as fixtures.call_with({"/call_args": {}})
}

test_null_limit_passes if {
	found == [] with input as limit(null)
}

test_unfit_limit_denies if {
	every value in [true, false, "", "12", [], [12], {}] {
		found == [unfit] with input as limit(value)
	}
}

test_missing_max_rows_denies if {
	found == [missing({"claims.data_scope.max_rows"})] with input as fixtures.call_without(["/claims/data_scope/max_rows"])
	found == [missing({"claims.data_scope.max_rows"})] with input as fixtures.call_without(["/claims/data_scope"])
	found == [missing({"claims.data_scope.max_rows"})] with input as fixtures.call_without(["/claims"])
}

test_unfit_max_rows_denies if {
	every most in fixtures.not_numbers {
		found == [missing({"claims.data_scope.max_rows"})] with input as fixtures.call_with({"/claims/data_scope/max_rows": most})
		found == [missing({"claims.data_scope.max_rows"})] with input as fixtures.call_with({
			"/call_args/limit": 1,
			"/claims/data_scope/max_rows": most,
		})
	}
}

test_missing_arguments_deny if {
	found == [missing({"call_args"})] with input as fixtures.call_without(["/call_args"])
	found == [missing({"call_args"})] with input as fixtures.without(
		fixtures.call_with({"/claims/data_scope/max_rows": 0}),
		["/call_args"],
	)
}

test_unfit_arguments_deny if {
	every arguments in fixtures.not_objects {
		found == [missing({"call_args"})] with input as fixtures.call_with({"/call_args": arguments})
		found == [missing({"call_args"})] with input as fixtures.call_with({
			"/call_args": arguments,
			"/claims/data_scope/max_rows": 0,
		})
	}
}
