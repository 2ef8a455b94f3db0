# METADATA
# title: Palindromes
# description: A code reads the same in both directions.
# custom:
#   code: REVERSE
#   severity: low
package shop.deny

violation contains {
	"code": "REVERSE",
	"severity": "low",
	"reason": "reverse is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "stamp"
	not same_backwards
}

same_backwards if {
	digits := input.call_args.digits
	is_array(digits)
	array.reverse(digits) == digits
	array.concat(digits, [0]) != [0]
}
