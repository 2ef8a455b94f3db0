package scopebound.deny.parameter_violation_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "PARAMETER_VIOLATION"
]

denial(rest) := object.union({"code": "PARAMETER_VIOLATION", "severity": "high"}, rest)

missing(paths) := denial({
	"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths]),
	"retry_guidance": "none",
})

limit := {
	"field": "amount",
	"operator": "lt",
	"value": 50000,
	"required": false,
	"present": true,
	"fit": true,
	"actual": 25000,
}

recipient := {
	"field": "to",
	"operator": "regex",
	"value": `.*@company\.com$`,
	"required": false,
	"present": true,
	"fit": true,
	"actual": "eve@evil.example",
	"matched": false,
}

call(constraints) := fixtures.call_with({"/constraints": constraints})

one(constraint, change) := call([object.union(constraint, change)])

test_numbers_are_ordered if {
	found == [] with input as one(limit, {"actual": 49999})
	found == [] with input as one(limit, {"actual": 49999.5})
	found == [] with input as one(limit, {"actual": -1})
	count(found) == 1 with input as one(limit, {"actual": 50000})
	count(found) == 1 with input as one(limit, {"actual": 50001})
	count(found) == 1 with input as one(limit, {"actual": 50000, "matched": true})
	found == [] with input as one(limit, {"operator": "gt", "actual": 50001})
	count(found) == 1 with input as one(limit, {"operator": "gt", "actual": 50000})
	count(found) == 1 with input as one(limit, {"operator": "gt", "actual": 49999})
	found == [] with input as one(limit, {"value": 10, "actual": 9})
	count(found) == 1 with input as one(limit, {"value": 9, "actual": 10})
	found == [] with input as one(limit, {"operator": "gt", "value": 9, "actual": 100})
}

test_only_numbers_are_ordered if {
	every wrong in fixtures.not_numbers {
		count(found) == 1 with input as one(limit, {"operator": "lt", "actual": wrong})
		count(found) == 1 with input as one(limit, {"operator": "lt", "value": wrong})
		count(found) == 1 with input as one(limit, {"operator": "gt", "actual": wrong})
		count(found) == 1 with input as one(limit, {"operator": "gt", "value": wrong})
	}
}

test_equal_in_value_and_type if {
	every value in [0, 1.5, "pending", "", true, false, null, [], [1, "a"], {}, {"a": {"b": 1}}] {
		found == [] with input as call([object.union(
			limit,
			{"operator": "eq", "value": value, "actual": value},
		)])
	}
	every pair in [[1, "1"], ["1", 1], [1, true], [0, false], [null, false], [[], {}], ["a", ["a"]], [[1, 2], [2, 1]], [{"a": 1}, {"a": 1, "b": 2}]] {
		count(found) == 1 with input as call([object.union(
			limit,
			{"operator": "eq", "value": pair[0], "actual": pair[1]},
		)])
	}
}

test_member_of_a_list if {
	every actual in ["us-east", 1, null, {"a": 1}] {
		found == [] with input as call([object.union(
			limit,
			{"operator": "in", "value": ["us-east", 1, null, {"a": 1}], "actual": actual},
		)])
	}
	every actual in ["us-west", "1", 2, true, ["us-east"], {"a": 2}] {
		count(found) == 1 with input as call([object.union(
			limit,
			{"operator": "in", "value": ["us-east", 1, null, {"a": 1}], "actual": actual},
		)])
	}
	found == [denial({
		"reason": `argument "amount" is 5; it must satisfy in ["us-east", 1]`,
		"retry_guidance": "change_args",
	})] with input as one(limit, {"operator": "in", "value": ["us-east", 1], "actual": 5})
}

test_only_a_list_has_members if {
	every value in [{"0": "us-east"}, "us-east", null, 5] {
		count(found) == 1 with input as call([object.union(
			limit,
			{"operator": "in", "value": value, "actual": "us-east"},
		)])
	}
}

test_text_follows_the_fact_matched_and_an_unknown_operator_denies if {
	every operator in ["contains", "regex"] {
		found == [] with input as one(recipient, {"operator": operator, "matched": true})
		count(found) == 1 with input as one(recipient, {"operator": operator})
	}
	every operator in ["", "le", "EQ", "not_in"] {
		count(found) == 1 with input as one(limit, {"operator": operator, "matched": true})
	}
}

test_absent_argument_is_skipped if {
	found == [] with input as call([object.union(
		object.remove(limit, ["actual"]),
		{"present": false},
	)])
}

test_required_argument_must_be_there if {
	found == [denial({
		"reason": `argument "amount" is required; it must satisfy lt 50000`,
		"retry_guidance": "change_args",
	})] with input as one(object.remove(limit, ["actual"]), {"present": false, "required": true})
	found == [] with input as one(limit, {"required": true})
}

test_absent_required_argument_needs_no_match if {
	[violation.retry_guidance | some violation in found] == ["change_args"] with input as one(
		object.remove(recipient, ["actual", "matched"]),
		{"present": false, "required": true},
	)
}

test_unfit_argument_denies if {
	found == [denial({
		"reason": `argument "amount" has the wrong type or cannot be judged exactly; it must satisfy lt 50000`,
		"retry_guidance": "change_args",
	})] with input as one(limit, {"fit": false})
	count(found) == 1 with input as one(recipient, {"fit": false, "matched": true})
	found == [denial({
		"reason": `argument "amount" has the wrong type or cannot be judged exactly; it must satisfy lt 50000`,
		"retry_guidance": "change_args",
	})] with input as one(object.remove(limit, ["actual"]), {"fit": false})
}

test_all_must_hold_for_every_tool_call if {
	found == [] with input as call([limit, object.union(recipient, {"matched": true})])
	count(found) == 1 with input as call([limit, recipient])
	count(found) == 1 with input as call([recipient, limit])
	count(found) == 2 with input as call([recipient, object.union(limit, {"actual": 50000})])
	count(found) == 1 with input as fixtures.changed(fixtures.mcp_call, {"/constraints": [recipient]})
	found == [] with input as fixtures.changed(fixtures.delegation, {"/constraints": [recipient]})
	found == [] with input as fixtures.without(fixtures.delegation, ["/constraints"])
	found == [] with input as fixtures.call
}

test_reason_repeats_numbers_and_booleans if {
	found == [denial({
		"reason": `argument "amount" is 60000; it must satisfy lt 50000`,
		"retry_guidance": "change_args",
	})] with input as one(limit, {"actual": 60000})
	found == [denial({
		"reason": `argument "amount" is true; it must satisfy eq false`,
		"retry_guidance": "change_args",
	})] with input as one(limit, {"operator": "eq", "value": false, "actual": true})
}

test_reason_does_not_repeat_text if {
	found == [denial({
		"reason": "argument \"to\" is refused; it must satisfy regex \".*@company\\.com$\"",
		"retry_guidance": "change_args",
	})] with input as one(recipient, {})
}

test_missing_or_unfit_constraints_deny if {
	found == [missing({"constraints"})] with input as fixtures.call_without(["/constraints"])
	every constraints in fixtures.not_arrays {
		found == [missing({"constraints"})] with input as fixtures.call_with({"/constraints": constraints})
	}
}

test_missing_fact_of_a_constraint_denies if {
	every constraint in [null, true, 5, "amount", []] {
		found == [missing({
			"constraints.field",
			"constraints.operator",
			"constraints.value",
			"constraints.required",
			"constraints.present",
			"constraints.fit",
		})] with input as call([constraint])
	}
	found == [missing({"constraints.operator"})] with input as call([object.remove(limit, ["operator"])])
	found == [missing({"constraints.operator"})] with input as one(limit, {"operator": null})
	found == [missing({"constraints.value"})] with input as call([object.remove(limit, ["value"])])
	found == [missing({"constraints.value"})] with input as call([object.remove(
		object.union(limit, {"operator": "eq"}),
		["value"],
	)])
	absent := object.remove(object.union(limit, {"present": false}), ["actual", "required"])
	found == [missing({"constraints.required"})] with input as call([absent])
	found == [missing({"constraints.present"})] with input as call([object.remove(limit, ["present"])])
	found == [missing({"constraints.fit"})] with input as call([object.remove(limit, ["fit"])])
}

test_missing_field_denies if {
	violated := object.union(limit, {"actual": 60000})
	found == [missing({"constraints.field"})] with input as call([object.remove(violated, ["field"])])
	found == [missing({"constraints.field"})] with input as one(violated, {"field": 5})
}

test_unfit_operator_denies if {
	every operator in fixtures.not_strings {
		found == [missing({"constraints.operator"})] with input as one(limit, {"operator": operator})
	}
}

test_missing_actual_denies if {
	every operator in ["lt", "gt", "eq", "in"] {
		found == [missing({"constraints.actual"})] with input as call([object.remove(
			object.union(limit, {"operator": operator}),
			["actual"],
		)])
	}
}

test_missing_matched_denies if {
	every operator in ["contains", "regex"] {
		found == [missing({"constraints.matched"})] with input as call([object.remove(
			object.union(recipient, {"operator": operator}),
			["matched"],
		)])
	}
}

test_unfit_matched_denies if {
	every matched in fixtures.not_booleans {
		found == [missing({"constraints.matched"})] with input as one(recipient, {"matched": matched})
	}
}

test_unfit_required_denies if {
	every required in fixtures.not_booleans {
		found == [missing({"constraints.required"})] with input as one(
			object.remove(limit, ["actual"]),
			{"present": false, "required": required},
		)
	}
}

test_unfit_present_denies if {
	every present in fixtures.not_booleans {
		found == [missing({"constraints.present"})] with input as one(limit, {"present": present})
	}
}

test_unfit_fit_denies if {
	every fit in fixtures.not_booleans {
		found == [missing({"constraints.fit"})] with input as one(limit, {"fit": fit})
	}
}
