# METADATA
# title: Environment violation
# description: >-
#   call_args.env names an environment outside the role's allowed_envs. A call without env, or
#   with null, is allowed; an empty list restricts nothing.
# custom:
#   code: ENV_VIOLATION
#   severity: high
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "ENV_VIOLATION",
	"severity": "high",
	"reason": env_reason,
	"retry_guidance": env_guidance,
} if {
	facts.tool_call
	not env_allowed
}

env_list := facts.data_scope.allowed_envs

env_allowed if {
	env := input.call_args.env
	is_string(env)
	is_array(env_list)
	env in env_list
} else if {
	env_list == []
	is_object(input.call_args)
} else if {
	is_object(input.call_args)
	is_array(env_list)
	env_unasked
}

env_unasked if input.call_args.env == null

env_unasked if not facts.known(input.call_args.env)

env_guidance := "none" if {
	count(env_missing) > 0
} else := "change_args"

env_reason := facts.missing(env_missing) if {
	count(env_missing) > 0
} else := sprintf("env \"%s\" is not in allowed_envs %s", [input.call_args.env, facts.listed(env_list)]) if {
	is_string(input.call_args.env)
} else := sprintf("env must be a string, one of %s", [facts.listed(env_list)])

env_missing contains "claims.data_scope.allowed_envs" if not is_array(env_list)

env_missing contains "call_args" if not is_object(input.call_args)
