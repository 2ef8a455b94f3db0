package scopebound.deny.behavioral_drift_test

import rego.v1

import data.scopebound.config
import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "BEHAVIORAL_DRIFT"
]

denial(rest) := object.union(
	{"code": "BEHAVIORAL_DRIFT", "severity": "high", "retry_guidance": "none"},
	rest,
)

missing(paths) := denial({"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths])})

latched := denial({"reason": "the session drifted from its role's baseline; an operator has to clear it"})

# Just enough of everything: the least evidence, calls and sessions at which drift is proven.
proven := {
	"ready": true,
	"log_evidence": 6.907755278982137,
	"latched": false,
	"calls": 10,
	"baseline_sessions": 20,
}

drift(change) := fixtures.call_with({"/session/drift": object.union(proven, change)})

test_less_than_any_threshold_passes if {
	found == [] with input as fixtures.call
	every evidence in [6.9077, 0, -100] {
		found == [] with input as drift({"log_evidence": evidence})
	}
	found == [] with input as drift({"calls": 9})
	found == [] with input as drift({"calls": 0, "log_evidence": 50})
	found == [] with input as drift({"baseline_sessions": 19})
	count(found) == 1 with input as drift({"log_evidence": 10, "calls": 100, "baseline_sessions": 100})
	found == [] with input as drift({"baseline_sessions": 3})
	found == [] with input as drift({}) with data.scopebound.config.drift.log_evidence as 7
	found == [] with input as drift({}) with data.scopebound.config.drift.min_calls as 11
	found == [] with input as drift({}) with data.scopebound.config.drift.min_baseline_sessions as 21
	count(found) == 1 with input as drift({"log_evidence": 3}) with data.scopebound.config.drift.log_evidence as 3
}

test_shipped_thresholds if {
	config.drift == {
		"alpha": 0.001,
		"log_evidence": 6.907755278982137,
		"min_calls": 10,
		"min_baseline_sessions": 20,
	}
}

test_proven_drift_denies_every_tool_call if {
	found == [denial({"reason": "the tool calls drifted from the role's baseline: log evidence 6.907755278982137 after 10 calls reaches 6.907755278982137"})] with input as drift({})
	count(found) == 1 with input as drift({"log_evidence": 50, "calls": 300, "baseline_sessions": 21})
	count(found) == 1 with input as fixtures.changed(fixtures.mcp_call, {"/session/drift": proven})
	found == [] with input as fixtures.changed(fixtures.delegation, {"/session/drift": proven})
	found == [] with input as fixtures.without(fixtures.delegation, ["/session/drift"])
}

test_no_baseline_passes if {
	found == [] with input as drift({"ready": false})
}

test_latched_session_stays_denied if {
	found == [latched] with input as fixtures.call_with({"/session/drift/latched": true})
	found == [latched] with input as drift({"latched": true, "ready": false, "calls": 0})
	found == [latched] with input as drift({"latched": true})
}

test_missing_fact_denies if {
	found == [missing({"session.drift.ready"})] with input as fixtures.call_without(["/session/drift/ready"])
	found == [missing({"session.drift.latched"})] with input as fixtures.call_without(["/session/drift/latched"])
	found == [missing({"session.drift.log_evidence"})] with input as fixtures.call_without(["/session/drift/log_evidence"])
	found == [missing({"session.drift.calls"})] with input as fixtures.call_without(["/session/drift/calls"])
	found == [missing({"session.drift.baseline_sessions"})] with input as fixtures.call_without(["/session/drift/baseline_sessions"])
	count(found) == 1 with input as fixtures.call_without(["/session/drift"])
	count(found) == 1 with input as fixtures.call_without(["/session"])
}

test_fact_is_needed_without_a_baseline if {
	every name in ["log_evidence", "calls", "baseline_sessions"] {
		path := sprintf("/session/drift/%s", [name])
		count(found) == 1 with input as fixtures.without(drift({"ready": false}), [path])
		count(found) == 1 with input as drift({"ready": false, name: "12"})
	}
}

test_unfit_booleans_deny if {
	every wrong in fixtures.not_booleans {
		found == [missing({"session.drift.ready"})] with input as fixtures.call_with({"/session/drift/ready": wrong})
		found == [missing({"session.drift.latched"})] with input as fixtures.call_with({"/session/drift/latched": wrong})
	}
}

test_unfit_numbers_deny if {
	every wrong in fixtures.not_numbers {
		found == [missing({"session.drift.log_evidence"})] with input as fixtures.call_with({"/session/drift/log_evidence": wrong})
		found == [missing({"session.drift.calls"})] with input as fixtures.call_with({"/session/drift/calls": wrong})
		found == [missing({"session.drift.baseline_sessions"})] with input as fixtures.call_with({"/session/drift/baseline_sessions": wrong})
	}
}

test_missing_thresholds_deny if {
	found == [missing({"config.drift.log_evidence"})] with input as drift({}) with data.scopebound.config.drift as {"min_calls": 10, "min_baseline_sessions": 20}
	found == [missing({"config.drift.min_calls"})] with input as drift({}) with data.scopebound.config.drift as {"log_evidence": 3, "min_baseline_sessions": 20}
	found == [missing({"config.drift.min_baseline_sessions"})] with input as drift({}) with data.scopebound.config.drift as {"log_evidence": 3, "min_calls": 10}
}

test_unfit_thresholds_deny if {
	every wrong in fixtures.not_numbers {
		found == [missing({"config.drift.log_evidence"})] with input as drift({}) with data.scopebound.config.drift.log_evidence as wrong
		found == [missing({"config.drift.min_calls"})] with input as drift({}) with data.scopebound.config.drift.min_calls as wrong
		found == [missing({"config.drift.min_baseline_sessions"})] with input as drift({}) with data.scopebound.config.drift.min_baseline_sessions as wrong
	}
}
