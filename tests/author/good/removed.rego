# METADATA
# title: Only the note changes
# description: Apart from the note two documents are equal.
# custom:
#   code: REMOVED
#   severity: low
package shop.deny

violation contains {
	"code": "REMOVED",
	"severity": "low",
	"reason": "removed is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name == "amend"
	not only_note_changed
}

only_note_changed if {
	before := input.call_args.before
	after := input.call_args.after
	is_object(before)
	is_object(after)
	object.remove(before, ["note"]) == object.remove(after, ["note"])
}
