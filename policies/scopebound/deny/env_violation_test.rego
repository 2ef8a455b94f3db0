package scopebound.deny.env_violation_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "ENV_VIOLATION"
]

denial(rest) := object.union({"code": "ENV_VIOLATION", "severity": "high"}, rest)

missing(paths) := denial({
	"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths]),
	"retry_guidance": "none",
})

unfit := denial({
	"reason": `env must be a string, one of ["staging", "production"]`,
	"retry_guidance": "change_args",
})

env(value) := fixtures.call_with({"/call_args/env": value})

test_listed_env_passes if {
	found == [] with input as fixtures.call_with({"/call_args/env": "staging"})
	found == [] with input as fixtures.call_with({"/call_args/env": "production"})
}

test_unlisted_env_denies_every_tool_call if {
	found == [denial({
		"reason": `env "prod" is not in allowed_envs ["staging", "production"]`,
		"retry_guidance": "change_args",
	})] with input as fixtures.call_with({"/call_args/env": "prod"})
	count(found) == 1 with input as fixtures.changed(fixtures.mcp_call, {"/call_args/env": "prod"})
	found == [] with input as fixtures.changed(fixtures.delegation, {"/call_args/env": "prod"})
}

test_names_are_compared_exactly if {
	every name in ["Staging", "staging ", "stag", ""] {
		count(found) == 1 with input as env(name)
	}
}

test_absent_env_and_empty_list_restrict_nothing if {
	found == [] with input as fixtures.call
	found == [] with input as fixtures.call_with({"/call_args": {}})
	found == [] with input as fixtures.call_with({"/call_args/env": null})
	every value in ["prod", "", null, true, 12, ["x"]] {
		found == [] with input as fixtures.call_with({
			"/call_args/env": value,
			"/claims/data_scope/allowed_envs": [],
		})
	}
}

test_unfit_env_denies if {
	every value in [true, false, 0, 12, [], ["staging"], {}, {"env": "staging"}] {
		found == [unfit] with input as env(value)
	}
}

test_unfit_env_that_is_listed_denies if {
	count(found) == 1 with input as fixtures.call_with({
		"/call_args/env": 5,
		"/claims/data_scope/allowed_envs": [5],
	})
}

test_missing_list_denies if {
	found == [missing({"claims.data_scope.allowed_envs"})] with input as fixtures.call_without(["/claims/data_scope/allowed_envs"])
	found == [missing({"claims.data_scope.allowed_envs"})] with input as fixtures.call_without(["/claims/data_scope"])
	found == [missing({"claims.data_scope.allowed_envs"})] with input as fixtures.call_without(["/claims"])
}

test_unfit_list_denies if {
	every envs in fixtures.not_arrays {
		found == [missing({"claims.data_scope.allowed_envs"})] with input as fixtures.call_with({"/claims/data_scope/allowed_envs": envs})
	}
}

test_env_among_the_values_of_an_object_denies if {
	found == [missing({"claims.data_scope.allowed_envs"})] with input as fixtures.call_with({
		"/call_args/env": "staging",
		"/claims/data_scope/allowed_envs": {"0": "staging"},
	})
}

test_missing_arguments_deny if {
	found == [missing({"call_args"})] with input as fixtures.call_without(["/call_args"])
	found == [missing({"call_args"})] with input as fixtures.without(
		fixtures.call_with({"/claims/data_scope/allowed_envs": []}),
		["/call_args"],
	)
}

test_unfit_arguments_deny if {
	every arguments in fixtures.not_objects {
		found == [missing({"call_args"})] with input as fixtures.call_with({"/call_args": arguments})
		found == [missing({"call_args"})] with input as fixtures.call_with({
			"/call_args": arguments,
			"/claims/data_scope/allowed_envs": [],
		})
	}
}
