# METADATA
# title: Data limit exceeded
# description: >-
#   call_args.limit asks for more rows than the role's max_rows, for less than one, or is not a
#   whole number. A call without limit, or with null, is allowed; max_rows 0 restricts nothing.
# custom:
#   code: DATA_LIMIT_EXCEEDED
#   severity: high
package scopebound.deny

import rego.v1

import data.scopebound.facts

violation contains {
	"code": "DATA_LIMIT_EXCEEDED",
	"severity": "high",
	"reason": rows_reason,
	"retry_guidance": rows_guidance,
} if {
	facts.tool_call
	not rows_allowed
}

rows_most := facts.data_scope.max_rows

# floor() comes last: of a float beyond 64 bits the engine's is wrong, and none such passes max_rows.
rows_allowed if {
	limit := input.call_args.limit
	most := rows_most
	is_number(limit)
	is_number(most)
	limit >= 1
	limit <= most
	floor(limit) == limit
} else if {
	rows_most == 0
	is_object(input.call_args)
} else if {
	is_object(input.call_args)
	is_number(rows_most)
	rows_unasked
}

rows_unasked if input.call_args.limit == null

rows_unasked if not facts.known(input.call_args.limit)

rows_guidance := "none" if {
	count(rows_missing) > 0
} else := "change_args"

rows_reason := facts.missing(rows_missing) if {
	count(rows_missing) > 0
} else := sprintf("limit is %v; a whole number from 1 to %v is allowed", [
	input.call_args.limit,
	rows_most,
]) if {
	is_number(input.call_args.limit)
} else := sprintf("limit must be a whole number from 1 to %v", [rows_most])

rows_missing contains "claims.data_scope.max_rows" if not is_number(rows_most)

rows_missing contains "call_args" if not is_object(input.call_args)
