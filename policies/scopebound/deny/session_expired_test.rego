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

test_session_lives_until_the_millisecond_of_exp if {
	found == [] with input as fixtures.call
	found == [] with input as fixtures.call_with({"/now/epoch_ms": 1800003599999})
	found == [expired] with input as fixtures.call_with({"/now/epoch_ms": 1800003600000})
	found == [expired] with input as fixtures.call_with({"/now/epoch_ms": 1900000000000})
	found == [expired] with input as fixtures.changed(
		fixtures.delegation,
		{"/now/epoch_ms": 1800003600000},
	)
	found == [expired] with input as fixtures.call_with({
		"/action": "spawn",
		"/now/epoch_ms": 1800003600000,
	})
	found == [] with input as fixtures.call_with({"/claims/exp": 1800000000.5})
	found == [denial({
		"reason": "the session token expired at 1800003600 (Unix seconds)",
		"retry_guidance": "reprovision",
	})] with input as fixtures.call_with({
		"/session/revoked_reason": "key leaked",
		"/now/epoch_ms": 1800003600000,
	})
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

test_revoked_without_reason_even_if_expired if {
	every reason in fixtures.not_strings {
		found == [denial({
			"reason": "the session was revoked",
			"retry_guidance": "none",
		})] with input as fixtures.call_with({
			"/session/revoked": true,
			"/session/revoked_reason": reason,
		})
	}
	found == [denial({
		"reason": "the session was revoked",
		"retry_guidance": "none",
	})] with input as fixtures.call_with({
		"/session/revoked": true,
		"/now/epoch_ms": 1900000000000,
	})
}

test_missing_fact_denies if {
	found == [missing({"claims.exp"})] with input as fixtures.call_without(["/claims/exp"])
	found == [missing({"now.epoch_ms"})] with input as fixtures.call_without(["/now/epoch_ms"])
	found == [missing({"session.revoked"})] with input as fixtures.call_without(["/session/revoked"])
	found == [missing({"session.revoked", "claims.exp", "now.epoch_ms"})] with input as {}
}

test_unfit_exp_denies if {
	every exp in fixtures.not_numbers {
		found == [missing({"claims.exp"})] with input as fixtures.call_with({"/claims/exp": exp})
	}
}

test_unfit_clock_denies if {
	every now in fixtures.not_numbers {
		found == [missing({"now.epoch_ms"})] with input as fixtures.call_with({"/now/epoch_ms": now})
	}
}

test_unfit_revocation_denies if {
	every revoked in fixtures.not_booleans {
		found == [missing({"session.revoked"})] with input as fixtures.call_with({"/session/revoked": revoked})
	}
}
