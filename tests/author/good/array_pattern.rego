# METADATA
# title: Command
# description: Only some commands with their options are run.
# custom:
#   code: ARRAY_PATTERN
#   severity: critical
package shop.deny

violation contains {
	"code": "ARRAY_PATTERN",
	"severity": "critical",
	"reason": "array_pattern is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "run"
	not command_fine
}

command_fine if {
	[program, option] = input.call_args.command
	program == "git"
	option in ["status", "log"]
}

command_fine if {
	input.call_args.command == ["ls"]
}
