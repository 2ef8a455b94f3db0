# METADATA
# title: Behavioral drift
# description: >-
#   The session's tool calls are no longer explained by the role's baseline: the log evidence has
#   reached ln(1/alpha), which happens to a session that follows the baseline with probability
#   alpha at most (Ville's inequality). A session that drifted once stays denied (`latched`).
#   Thresholds are the bundle's data; drift.log_evidence is ln(1/alpha), as Rego has no logarithm.
# custom:
#   code: BEHAVIORAL_DRIFT
#   severity: high
package scopebound.deny

import rego.v1

import data.scopebound.config
import data.scopebound.facts

violation contains {
	"code": "BEHAVIORAL_DRIFT",
	"severity": "high",
	"reason": drift_reason,
	"retry_guidance": "none",
} if {
	facts.tool_call
	not drift_unproven
}

drift := facts.session.drift

drift_unproven if {
	drift.latched == false
	is_boolean(drift.ready)
	is_number(drift.log_evidence)
	is_number(drift.calls)
	is_number(drift.baseline_sessions)
	drift_tolerable
}

drift_tolerable if {
	drift_below(drift.log_evidence, config.drift.log_evidence)
} else if {
	drift.ready == false
} else if {
	drift_below(drift.calls, config.drift.min_calls)
} else if {
	drift_below(drift.baseline_sessions, config.drift.min_baseline_sessions)
}

drift_below(value, limit) if {
	is_number(value)
	is_number(limit)
	value < limit
}

drift_reason := "the session drifted from its role's baseline; an operator has to clear it" if {
	drift.latched == true
} else := facts.missing(drift_missing) if {
	count(drift_missing) > 0
} else := sprintf(
	"the tool calls drifted from the role's baseline: log evidence %v after %v calls reaches %v",
	[drift.log_evidence, drift.calls, config.drift.log_evidence],
)

drift_missing contains "session.drift.latched" if not is_boolean(drift.latched)

drift_missing contains "session.drift.ready" if not is_boolean(drift.ready)

drift_missing contains "session.drift.log_evidence" if not is_number(drift.log_evidence)

drift_missing contains "session.drift.calls" if not is_number(drift.calls)

drift_missing contains "session.drift.baseline_sessions" if {
	not is_number(drift.baseline_sessions)
}

drift_missing contains "config.drift.log_evidence" if not is_number(config.drift.log_evidence)

drift_missing contains "config.drift.min_calls" if not is_number(config.drift.min_calls)

drift_missing contains "config.drift.min_baseline_sessions" if {
	not is_number(config.drift.min_baseline_sessions)
}
