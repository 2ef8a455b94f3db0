# METADATA
# title: Delegation depth exceeded
# description: The session has no delegation depth left to spawn another.
# custom:
#   code: DELEGATION_DEPTH_EXCEEDED
#   severity: critical
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "DELEGATION_DEPTH_EXCEEDED",
	"severity": "critical",
	"reason": depth_reason,
	"retry_guidance": "none",
} if {
	facts.delegation
	not facts.depth_left
}

depth_reason := sprintf("delegation_depth_remaining is %v; spawning a session needs 1", [remaining]) if {
	remaining := facts.claims.delegation_depth_remaining
	is_number(remaining)
} else := facts.missing({"claims.delegation_depth_remaining"})
