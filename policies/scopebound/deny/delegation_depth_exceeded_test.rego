package scopebound.deny.delegation_depth_exceeded_test

import rego.v1

import data.scopebound.deny
import data.scopebound.facts
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "DELEGATION_DEPTH_EXCEEDED"
]

denial(rest) := object.union(
	{
		"code": "DELEGATION_DEPTH_EXCEEDED",
		"severity": "critical",
		"retry_guidance": "none",
	},
	rest,
)

missing := denial({"reason": `cannot be judged, missing or of the wrong type: {"claims.delegation_depth_remaining"}`})

depth(remaining) := fixtures.changed(
	fixtures.delegation,
	{"/claims/delegation_depth_remaining": remaining},
)

test_one_level_is_needed if {
	found == [] with input as depth(1)
	found == [] with input as depth(3)
	found == [denial({"reason": "delegation_depth_remaining is 0; spawning a session needs 1"})] with input as depth(0)
	every remaining in [-1, 0.5, 0.999] {
		count(found) == 1 with input as depth(remaining)
	}
	found == [] with input as fixtures.call_with({"/claims/delegation_depth_remaining": 0})
	found == [] with input as fixtures.changed(
		fixtures.mcp_call,
		{"/claims/delegation_depth_remaining": 0},
	)
}

depth_left(remaining) if {
	facts.depth_left with input as fixtures.call_with({"/claims/delegation_depth_remaining": remaining})
}

test_missing_or_unfit_depth_denies if {
	found == [missing] with input as fixtures.without(
		fixtures.delegation,
		["/claims/delegation_depth_remaining"],
	)
	found == [missing] with input as fixtures.without(fixtures.delegation, ["/claims"])
	every remaining in fixtures.not_numbers {
		found == [missing] with input as depth(remaining)
	}
	[remaining | some remaining in [-1, 0, 0.5, 1, 3]; depth_left(remaining)] == [1, 3]
	[wrong | some wrong in fixtures.not_numbers; depth_left(wrong)] == []
}
