# METADATA
# title: Matrix
# description: All cells of a matrix are known words.
# custom:
#   code: NESTED_EVERY
#   severity: low
package shop.deny

violation contains {
	"code": "NESTED_EVERY",
	"severity": "low",
	"reason": "nested_every is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "fill"
	not matrix_known
}

matrix_known if {
	is_array(input.call_args.rows)
	every row in input.call_args.rows {
		is_array(row)
		every cell in row {
			known_cell(cell)
		}
	}
}

known_cell(cell) if cell in ["x", "o", ""]
