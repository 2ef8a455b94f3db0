# METADATA
# title: Folders
# description: Files are written below one folder.
# custom:
#   code: PREFIX
#   severity: high
package shop.deny

violation contains {
	"code": "PREFIX",
	"severity": "high",
	"reason": "prefix is not fine",
	"retry_guidance": "change_args",
} if {
	input.tool_name == "write_file"
	not below_folder
}

below_folder if {
	path := input.call_args.path
	is_string(path)
	startswith(path, "/srv/shop/")
	not contains(path, "..")
}
