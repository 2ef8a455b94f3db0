# A file with a bit of everything.

# METADATA
# title: Everything
package a.b.c.d

import rego.v1

import data.m.n
import data.x.y as z
import input.request # beside

# Another group.
import data.f["g"].h

default allow := false

x := 1
y := 2

raw := `a "raw" # string
	over lines`

names := {"a", "b"}
empty := set()
objects := {
	"a": {"b": [1, 2, {3}]},
	# why
	"c": `x`, "d": -1,
	"e": [
		1, 2, # two
		3,
	],
}

allow if {
	# first
	input.a.b[_].c["d e"][x] == "s" # beside

	# second
	not input.b
	some i, j, # c1
		k # c2
	some n, m in input.c
	q := [v | some v in input.list; v > 1]
	r := {w: 1 |
		some w in input.list # wide
		w != "x"
		# last
	}
	every p in q { p > 0; p < 10 }
	every key, value in r {
		key != ""
		value == 1
	}
	count(q) - 1 >= (x + y) * 2
	"a" in {"a", "b"}
	"k", "v" in r
	i = 1
	[j, k] = [input.j, m]
	n == 2
} else if {
	input.z
	y > 1
} # end

# Else is another.
else := true if input.last

f(a, [b, c]) := a + b if c > 1

g(
	one,
	two,
) := sprintf("%v %v", [
	one,
	two,
])

partial contains name if some name in names

partial contains [1, 2] if {
	x == 1
	contains("abc", "b")
}

nested.rule[name] := value if {
	some name, value in input.values
}

nested.other.in := 1

test_it if {
	allow with input as {"a": 1}
	allow with input as {
		"a": 1,
		"b": [{
			"c": 2,
			"d": 3,
		}],
	}
		with data.x as 2
	allow
		with input.a as 1
		with input.b as 2 with data.y as 3
	result := f(
		1,
		# of a list
		[2, 3],
	)
	result == 3
}

long := count(input.a) + # continued
	count(input.b)

# The end.

# Really.
