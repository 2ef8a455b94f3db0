# The idea of the RBAC example of the OPA documentation, in words of our own.

# METADATA
# title: Right of a role
# description: The role has the right that the tool takes.
# custom:
#   code: ROLES_AND_RIGHTS
#   severity: low
package shop.deny

import data.shop.config

violation contains {
	"code": "ROLES_AND_RIGHTS",
	"severity": "low",
	"reason": sprintf("the role lacks the right of %s", [input.tool_name]),
	"retry_guidance": "request_access",
} if {
	needed := object.get(config.rights_of_tools, input.tool_name, "none")
	not has_right(needed)
}

has_right(needed) if {
	some right in config.rights_of_roles[input.claims.role]
	right == needed
}

has_right("none")
