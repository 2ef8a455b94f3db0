# METADATA
# title: Parameter violation
# description: >-
#   An argument does not satisfy a constraint that the role puts on the tool. The engine looks up
#   the argument (`present`, `actual`), says whether the operator can judge its type (`fit`) and
#   matches text (`matched`); what is absent is skipped unless the constraint requires it.
# custom:
#   code: PARAMETER_VIOLATION
#   severity: high
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "PARAMETER_VIOLATION",
	"severity": "high",
	"reason": facts.missing({"constraints"}),
	"retry_guidance": "none",
} if {
	facts.tool_call
	not is_array(input.constraints)
}

violation contains {
	"code": "PARAMETER_VIOLATION",
	"severity": "high",
	"reason": parameter_reason(constraint),
	"retry_guidance": parameter_guidance(constraint),
} if {
	facts.tool_call
	is_array(input.constraints)
	some constraint in input.constraints
	not parameter_satisfied(constraint)
}

parameter_satisfied(constraint) if {
	constraint.present == true
	constraint.fit == true
	parameter_holds(constraint.operator, constraint)
} else if {
	constraint.present == false
	constraint.required == false
}

parameter_holds("eq", constraint) if constraint.actual == constraint.value

parameter_holds("in", constraint) if {
	is_array(constraint.value)
	constraint.actual in constraint.value
}

parameter_holds("lt", constraint) if {
	actual := constraint.actual
	limit := constraint.value
	is_number(actual)
	is_number(limit)
	actual < limit
}

parameter_holds("gt", constraint) if {
	actual := constraint.actual
	limit := constraint.value
	is_number(actual)
	is_number(limit)
	actual > limit
}

parameter_holds("contains", constraint) if constraint.matched == true

parameter_holds("regex", constraint) if constraint.matched == true

parameter_guidance(constraint) := "none" if {
	count(parameter_missing(constraint)) > 0
} else := "change_args"

# What the caller sent is repeated only where it is short: numbers and booleans.
parameter_reason(constraint) := facts.missing(parameter_missing(constraint)) if {
	count(parameter_missing(constraint)) > 0
} else := sprintf("argument \"%s\" is required; %s", [constraint.field, parameter_rule(constraint)]) if {
	constraint.present == false
} else := sprintf("argument \"%s\" has the wrong type or cannot be judged exactly; %s", [constraint.field, parameter_rule(constraint)]) if {
	constraint.fit == false
} else := sprintf("argument \"%s\" is %v; %s", [
	constraint.field,
	constraint.actual,
	parameter_rule(constraint),
]) if {
	parameter_short(constraint.actual)
} else := sprintf("argument \"%s\" is refused; %s", [constraint.field, parameter_rule(constraint)])

parameter_rule(constraint) := sprintf("it must satisfy %s %s", [
	constraint.operator,
	facts.shown(constraint.value),
])

parameter_short(value) if is_number(value)

parameter_short(value) if is_boolean(value)

parameter_missing(constraint) := {sprintf("constraints.%s", [name]) |
	some name in ["field", "operator", "value", "required", "present", "fit", "actual", "matched"]
	parameter_lacks(name, constraint)
}

parameter_lacks("field", constraint) if not is_string(constraint.field)

parameter_lacks("operator", constraint) if not is_string(constraint.operator)

parameter_lacks("value", constraint) if not facts.known(constraint.value)

parameter_lacks("required", constraint) if not is_boolean(constraint.required)

parameter_lacks("present", constraint) if not is_boolean(constraint.present)

parameter_lacks("fit", constraint) if not is_boolean(constraint.fit)

parameter_lacks("actual", constraint) if {
	parameter_judged(constraint)
	not facts.known(constraint.actual)
}

parameter_lacks("matched", constraint) if {
	parameter_judged(constraint)
	constraint.operator in ["contains", "regex"]
	not is_boolean(constraint.matched)
}

parameter_judged(constraint) if {
	constraint.present == true
	constraint.fit == true
}
