# METADATA
# title: Facts
# description: >-
#   What several rules ask of the input, and how a reason shows it. A reader that does not find its
#   fact is undefined: rules state what is fine, and deny whatever is not known to be.
package scopebound.facts

import rego.v1

claims := input.claims

session := input.session

now := input.now

bound := claims.bound

data_scope := claims.data_scope

tool_call if input.action == "tool_call"

tool_call if mcp_tool_call

mcp_tool_call if input.action == "mcp_tool_call"

delegation if input.action == "delegate"

tool_granted if {
	name := input.tool_name
	allowed := claims.allowed_tools
	is_string(name)
	is_array(allowed)
	name in allowed
}

depth_left if {
	remaining := claims.delegation_depth_remaining
	is_number(remaining)
	remaining >= 1
}

# METADATA
# description: True of every value that is there; a function of what is not is undefined.
known(_) := true

# METADATA
# description: The reason of a denial for want of facts; `names` is the set of their paths.
missing(names) := sprintf("cannot be judged, missing or of the wrong type: %v", [names])

# METADATA
# description: A list as JSON, in its own order, at most ten of it.
listed(values) := sprintf("%v", [values]) if {
	count(values) <= 10
} else := sprintf("%v and %d more", [array.slice(values, 0, 10), count(values) - 10])

# METADATA
# description: A value as JSON; of a list at most ten.
shown(value) := sprintf("\"%s\"", [value]) if {
	is_string(value)
} else := listed(value) if {
	is_array(value)
} else := sprintf("%v", [value])
