package scopebound.facts_test

import rego.v1

import data.scopebound.facts

test_listed_shows_ten if {
	facts.listed([]) == "[]"
	facts.listed(["a", 1]) == `["a", 1]`
	facts.listed([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
	facts.listed([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) == "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10] and 1 more"
}

test_shown_is_json if {
	[shown | some value in ["a", 1, 1.5, true, null, {"a": 1}]; shown := facts.shown(value)] == [
		`"a"`,
		"1",
		"1.5",
		"true",
		"null",
		`{"a": 1}`,
	]
	facts.shown(["a", "b"]) == `["a", "b"]`
	facts.shown([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) == "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10] and 2 more"
}
