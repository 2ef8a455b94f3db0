# The idea of the HTTP API tutorial of the OPA documentation, in words of our own.

# METADATA
# title: Own pages
# description: Somebody reads only pages of his own.
# custom:
#   code: PATH_SEGMENTS
#   severity: low
package shop.deny

violation contains {
	"code": "PATH_SEGMENTS",
	"severity": "low",
	"reason": "the page is not open to this role",
	"retry_guidance": "none",
} if {
	input.tool_name == "get_page"
	not page_open(input.call_args.path)
}
violation contains {
	"code": "PATH_SEGMENTS",
	"severity": "low",
	"reason": "path must be a list of segments",
	"retry_guidance": "none",
} if {
	input.tool_name == "get_page"
	not is_array(input.call_args.path)
}

page_open(["public", _])

page_open(["staff", role, _]) if role == input.claims.role

page_open(["about"])
