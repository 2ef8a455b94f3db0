# METADATA
# title: Constants
# description: Sets, arrays and objects as constants.
# custom:
#   code: CONSTANTS
#   severity: critical
package shop.deny

violation contains {
	"code": "CONSTANTS",
	"severity": "critical",
	"reason": "constants is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name in dangerous
	not dangerous_allowed
}

dangerous := {"drop_table", "delete_all"}

dangerous_roles := ["admin", "root"]

reasons := {
	"drop_table": "it loses data",
	"delete_all": "it loses everything",
}

dangerous_allowed if {
	input.claims.role in dangerous_roles
	reasons[input.tool_name] == input.call_args.because
}
