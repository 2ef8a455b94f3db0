# METADATA
# title: Delegation scope exceeded
# description: >-
#   With delegation.attenuate in the bundle's data, a spawned session may hold only tools that its
#   parent holds. Only `false` switches this off: without the setting the rule is in force.
# custom:
#   code: DELEGATION_SCOPE_EXCEEDED
#   severity: critical
package scopebound.deny

import rego.v1

import data.scopebound.config
import data.scopebound.facts

violation contains {
	"code": "DELEGATION_SCOPE_EXCEEDED",
	"severity": "critical",
	"reason": attenuation_reason,
	"retry_guidance": "none",
} if {
	facts.delegation
	not attenuation_off
	not attenuation_held
}

attenuation_off if config.delegation.attenuate == false

attenuation_held if {
	count(attenuation_missing) == 0
	count(attenuation_excess) == 0
}

attenuation_excess := [tool |
	some tool in input.child.allowed_tools
	not attenuation_inherited(tool)
]

attenuation_inherited(tool) if tool in facts.claims.allowed_tools

attenuation_reason := facts.missing(attenuation_missing) if {
	count(attenuation_missing) > 0
} else := sprintf("the child's tools exceed the parent's: %s", [facts.listed(attenuation_excess)])

attenuation_missing contains "claims.allowed_tools" if not is_array(facts.claims.allowed_tools)

attenuation_missing contains "child.allowed_tools" if not is_array(input.child.allowed_tools)
