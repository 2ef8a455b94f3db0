# METADATA
# title: Office hours
# description: Some tools are used in office hours only.
# custom:
#   code: OFFICE_HOURS
#   severity: low
package shop.deny

import data.shop.config as settings

violation contains {
	"code": "OFFICE_HOURS",
	"severity": "low",
	"reason": "office_hours is not fine",
	"retry_guidance": "none",
} if {
	input.tool_name in settings.office_tools
	not office_open
}

office_open if {
	input.now.weekday in {0, 1, 2, 3, 4}
	input.now.hour >= 8
	input.now.hour < 18
}
