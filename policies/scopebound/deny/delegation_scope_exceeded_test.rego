package scopebound.deny.delegation_scope_exceeded_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "DELEGATION_SCOPE_EXCEEDED"
]

denial(rest) := object.union(
	{
		"code": "DELEGATION_SCOPE_EXCEEDED",
		"severity": "critical",
		"retry_guidance": "none",
	},
	rest,
)

missing(paths) := denial({"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths])})

excess := denial({"reason": `the child's tools exceed the parent's: ["delete_invoice", "shell"]`})

alike := denial({"reason": `the child's tools exceed the parent's: ["Send_email", "send_email_to_all"]`})

child_with(tools) := fixtures.changed(fixtures.delegation, {"/child/allowed_tools": tools})

test_only_false_switches_it_off if {
	found == [] with input as child_with(["delete_invoice"])
	every setting in [null, 0, "false", [], {}, true] {
		found == [excess] with input as child_with(["delete_invoice", "shell"]) with data.scopebound.config.delegation.attenuate as setting
	}
	found == [excess] with input as child_with(["delete_invoice", "shell"]) with data.scopebound.config.delegation as {}
	found == [] with input as fixtures.call with data.scopebound.config.delegation.attenuate as true
}

test_tools_beyond_the_parent_deny if {
	found == [] with input as child_with(["read_invoices", "send_email"]) with data.scopebound.config.delegation.attenuate as true
	found == [] with input as child_with(["send_email"]) with data.scopebound.config.delegation.attenuate as true
	found == [] with input as child_with([]) with data.scopebound.config.delegation.attenuate as true
	found == [excess] with input as child_with(["delete_invoice", "read_invoices", "shell"]) with data.scopebound.config.delegation.attenuate as true
	found == [alike] with input as child_with(["Send_email", "send_email_to_all"]) with data.scopebound.config.delegation.attenuate as true
	tools := ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]
	found == [denial({"reason": `the child's tools exceed the parent's: ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] and 1 more`})] with input as child_with(tools) with data.scopebound.config.delegation.attenuate as true
}

test_missing_child_denies if {
	found == [missing({"child.allowed_tools"})] with input as fixtures.without(fixtures.delegation, ["/child"]) with data.scopebound.config.delegation.attenuate as true
	found == [missing({"child.allowed_tools"})] with input as fixtures.without(fixtures.delegation, ["/child/allowed_tools"]) with data.scopebound.config.delegation.attenuate as true
}

test_unfit_child_tools_deny if {
	every tools in fixtures.not_arrays {
		found == [missing({"child.allowed_tools"})] with input as child_with(tools) with data.scopebound.config.delegation.attenuate as true
	}
}

test_missing_parent_tools_deny if {
	found == [missing({"claims.allowed_tools"})] with input as fixtures.without(fixtures.delegation, ["/claims/allowed_tools"]) with data.scopebound.config.delegation.attenuate as true
}

test_unfit_parent_tools_deny if {
	every tools in fixtures.not_arrays {
		found == [missing({"claims.allowed_tools"})] with input as fixtures.changed(fixtures.delegation, {"/claims/allowed_tools": tools}) with data.scopebound.config.delegation.attenuate as true
	}
}
