# METADATA
# title: Scopebound
# description: >-
#   Gathers what the rules in scopebound.deny found, orders it and shapes the answer. A call is
#   allowed only if it was granted and no rule objects; whatever is undefined denies.
package scopebound

import rego.v1

import data.scopebound.config
import data.scopebound.deny
import data.scopebound.facts

# METADATA
# title: Decision
# description: The answer to one call, primary violation first.
# entrypoint: true
decision := {"allow": allow, "violations": ordered}

default allow := false

allow if {
	granted
	count(deny.violation) == 0
}

granted if {
	facts.tool_call
	facts.tool_granted
} else if {
	facts.delegation
	facts.depth_left
}

# The order sorts and nothing else: a code that it does not know comes last and still denies.
ordered := [] if {
	count(deny.violation) == 0
} else := array.concat(
	[violation |
		some code in config.precedence
		some violation in found
		violation.code == code
	],
	[violation |
		some violation in found
		not ranked(violation)
	],
) if {
	# Once for all codes: in a test with an input of its own the engine remembers no rule.
	found := deny.violation
}

ranked(violation) if violation.code in config.precedence
