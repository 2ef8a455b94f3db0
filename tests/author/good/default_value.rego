# METADATA
# title: Default
# description: A default holds where nothing else does.
# custom:
#   code: DEFAULT_VALUE
#   severity: high
package shop.deny

violation contains {
	"code": "DEFAULT_VALUE",
	"severity": "high",
	"reason": "default_value is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "deploy"
	not deploy_open
}

default deploy_open := false

deploy_open if {
	input.call_args.env == "staging"
}

deploy_open if {
	input.call_args.env == "prod"
	input.claims.role == "release-manager"
}
