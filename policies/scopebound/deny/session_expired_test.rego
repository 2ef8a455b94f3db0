package scopebound.deny.session_expired_test

import rego.v1

import data.scopebound.deny
import data.scopebound.fixtures_test as fixtures

found := [violation |
	some violation in deny.violation
	violation.code == "SESSION_EXPIRED"
]

denial(rest) := object.union({"code": "SESSION_EXPIRED", "severity": "low"}, rest)

expired := denial({
	"reason": "the session token expired at 1800003600 (Unix seconds)",
	"retry_guidance": "reprovision",
})

missing(paths) := denial({
	"reason": sprintf("cannot be judged, missing or of the wrong type: %v", [paths]),
	"retry_guidance": "reprovision",
})

test_live_session_passes if {
	found == [] with input as fixtures.call
}

test_last_millisecond_passes if {
	found == [] with input as fixtures.call_with({"/now/epoch_ms": 1800003599999})
}

test_expires_in_the_millisecond_of_exp if {
	found == [expired] with input as fixtures.call_with({"/now/epoch_ms": 1800003600000})
}

test_stays_expired if {
	found == [expired] with input as fixtures.call_with({"/now/epoch_ms": 1900000000000})
}

test_expired_session_may_not_delegate if {
	found == [expired] with input as fixtures.changed(
		fixtures.delegation,
		{"/now/epoch_ms": 1800003600000},
	)
}

test_judged_for_an_unknown_action if {
	found == [expired] with input as fixtures.call_with({
		"/action": "spawn",
		"/now/epoch_ms": 1800003600000,
	})
}

test_fractional_exp_is_a_number if {
	found == [] with input as fixtures.call_with({"/claims/exp": 1800000000.5})
}

test_revoked_session_gets_no_hint_to_retry if {
	found == [denial({
		"reason": "the session was revoked: key leaked",
		"retry_guidance": "none",
	})] with input as fixtures.call_with({
		"/session/revoked": true,
		"/session/revoked_reason": "key leaked",
	})
}

test_revoked_without_reason if {
	every reason in fixtures.not_strings {
		found == [denial({
			"reason": "the session was revoked",
			"retry_guidance": "none",
		})] with input as fixtures.call_with({
			"/session/revoked": true,
			"/session/revoked_reason": reason,
		})
	}
}

test_reason_of_a_revocation_needs_one if {
	found == [denial({
		"reason": "the session token expired at 1800003600 (Unix seconds)",
		"retry_guidance": "reprovision",
	})] with input as fixtures.call_with({
		"/session/revoked_reason": "key leaked",
		"/now/epoch_ms": 1800003600000,
	})
}

test_revoked_comes_before_expired if {
	found == [denial({
		"reason": "the session was revoked",
		"retry_guidance": "none",
	})] with input as fixtures.call_with({
		"/session/revoked": true,
		"/now/epoch_ms": 1900000000000,
	})
}

test_missing_exp_denies if {
	found == [missing({"claims.exp"})] with input as fixtures.call_without(["/claims/exp"])
}

test_unfit_exp_denies if {
	every exp in fixtures.not_numbers {
		found == [missing({"claims.exp"})] with input as fixtures.call_with({"/claims/exp": exp})
	}
}

test_missing_clock_denies if {
	found == [missing({"now.epoch_ms"})] with input as fixtures.call_without(["/now/epoch_ms"])
}

test_unfit_clock_denies if {
	every now in fixtures.not_numbers {
		found == [missing({"now.epoch_ms"})] with input as fixtures.call_with({"/now/epoch_ms": now})
	}
}

test_missing_revocation_denies if {
	found == [missing({"session.revoked"})] with input as fixtures.call_without(["/session/revoked"])
}

test_unfit_revocation_denies if {
	every revoked in fixtures.not_booleans {
		found == [missing({"session.revoked"})] with input as fixtures.call_with({"/session/revoked": revoked})
	}
}

test_no_facts_deny if {
	found == [missing({"session.revoked", "claims.exp", "now.epoch_ms"})] with input as {}
}
