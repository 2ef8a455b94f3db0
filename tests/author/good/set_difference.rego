# The idea of gatekeeper-library's K8sRequiredLabels, in words of our own.

# METADATA
# title: Missing labels
# description: Labels that every resource carries are there.
# custom:
#   code: SET_DIFFERENCE
#   severity: low
package shop.deny

import rego.v1

import data.shop.config

violation contains {
	"code": "SET_DIFFERENCE",
	"severity": "low",
	"reason": sprintf("labels are missing: %v", [labels_missing]),
	"retry_guidance": "change_args",
} if {
	input.tool_name == "create_resource"
	count(labels_missing) > 0
}

labels_missing := {label | some label in config.required_labels} - {label |
	is_object(input.call_args.labels)
	some label
	input.call_args.labels[label]
}
