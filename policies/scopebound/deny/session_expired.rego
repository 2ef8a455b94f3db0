# METADATA
# title: Session expired
# description: >-
#   The session token has lapsed, or the session was revoked. Judged for every action. There is no
#   leeway: a token is expired from the millisecond that `exp` names.
# custom:
#   code: SESSION_EXPIRED
#   severity: low
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "SESSION_EXPIRED",
	"severity": "low",
	"reason": session_reason,
	"retry_guidance": session_guidance,
} if {
	not session_live
}

session_live if {
	expiry := facts.claims.exp
	now := facts.now.epoch_ms
	is_number(expiry)
	is_number(now)
	expiry * 1000 > now
	facts.session.revoked == false
}

session_guidance := "none" if {
	session_revoked
} else := "reprovision"

session_revoked if facts.session.revoked == true

session_reason := sprintf("the session was revoked: %s", [facts.session.revoked_reason]) if {
	session_revoked
	is_string(facts.session.revoked_reason)
} else := "the session was revoked" if {
	session_revoked
} else := facts.missing(session_missing) if {
	count(session_missing) > 0
} else := sprintf("the session token expired at %v (Unix seconds)", [facts.claims.exp])

session_missing contains "session.revoked" if not is_boolean(facts.session.revoked)

session_missing contains "claims.exp" if not is_number(facts.claims.exp)

session_missing contains "now.epoch_ms" if not is_number(facts.now.epoch_ms)
