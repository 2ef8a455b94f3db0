# METADATA
# title: Prices add up
# description: The total is the sum of the items.
# custom:
#   code: ARITHMETIC
#   severity: low
package shop.deny

violation contains {
	"code": "ARITHMETIC",
	"severity": "low",
	"reason": "arithmetic is not fine",
	"retry_guidance": "change_args",
} if {
	input.tool_name == "order"
	not total_right
}

order_prices := [(price * amount) |
	is_array(input.call_args.items)
	some item in input.call_args.items
	price := item.price
	amount := item.amount
	is_number(price)
	is_number(amount)
]

total_right if {
	is_array(input.call_args.items)
	count(order_prices) == count(input.call_args.items)
	total := sum(order_prices)
	is_number(input.call_args.total)
	abs(total - input.call_args.total) < 0.01
}
