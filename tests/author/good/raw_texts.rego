# METADATA
# title: Raw texts
# description: Texts with quotes, escapes and other scripts.
# custom:
#   code: RAW_TEXTS
#   severity: low
package shop.deny

violation contains {
	"code": "RAW_TEXTS",
	"severity": "low",
	"reason": "use \"hello\",\n`hi` or größe",
	"retry_guidance": "none",
} if {
	input.tool_name == "greet"
	not greeting_fine
}

greeting_fine if input.call_args.text in ["hello", `hi "there"`, "größe", "你好", "a\tb"]
