package scopebound.deny.recipient_outside_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "RECIPIENT_OUTSIDE"
]

denial(reason) := {
	"code": "RECIPIENT_OUTSIDE",
	"severity": "high",
	"reason": reason,
	"retry_guidance": "change_args",
}

mail(company, plain) := fixtures.call_with({
	"/tool_name": "send_email",
	"/matches": {"recipient_company": company, "recipient_plain": plain},
})

outside := denial("to is not an address of company.com")

unclear := denial("to must be one plain address of company.com, as a string")

test_plain_address_of_the_company_passes if found == [] with input as mail("yes", "yes")

test_other_domain_denies if found == [outside] with input as mail("no", "yes")

test_more_than_an_address_denies if {
	found == [unclear] with input as mail("yes", "no")
	found == [unclear] with input as mail("no", "no")
}

test_what_cannot_be_judged_denies if {
	found == [unclear] with input as mail("unfit", "unfit")
	found == [unclear] with input as mail("yes", "unfit")
	found == [outside] with input as mail("unfit", "yes")
}

test_no_recipient_denies if found == [unclear] with input as mail("absent", "absent")

test_missing_facts_deny if {
	found == [unclear] with input as fixtures.without(mail("yes", "yes"), ["/matches"])
	found == [unclear] with input as fixtures.without(mail("yes", "yes"), ["/matches/recipient_plain"])
	found == [outside] with input as fixtures.without(mail("yes", "yes"), ["/matches/recipient_company"])
}

test_mcp_call_is_judged if {
	found == [outside] with input as fixtures.changed(mail("no", "yes"), {"/action": "mcp_tool_call"})
}

test_other_tools_pass if {
	found == [] with input as fixtures.changed(mail("no", "no"), {"/tool_name": "read_invoices"})
}
