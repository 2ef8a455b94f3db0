"""Coverage of small policies whose lines say themselves what is to be found there.

At the end of a line: `+` it is covered, `-` it is not; none of both and it does not count. Then, of
the first expression on it (the second after `;`): T true, F false, ? evaluated, but how it came out
the plan does not tell; nothing where it was not evaluated.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
import regorus

from scopebound_engine.bundle.format import content
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import CompileError
from scopebound_engine.rego.coverage.job import cover
from scopebound_engine.rego.coverage.runs import runs, units_of
from scopebound_engine.rego.testing.runner import run_tests

HEADER = "package t\n\n"
TEST_HEADER = "package t_test\n\nimport data.t\n\n"

POLICIES: dict[str, tuple[str, str]] = {
    "iteration": (
        """
over if {                          # +
	some x in input.xs             # + TF
	x > 2                          # + TF
}
none if {                          # -
	some x in input.xs             # + TF
	x > 7                          # + F
	x < 9                          # -
}
indexed if {                       # +
	input.xs[i] == 3               # + TF
	i > 1                          # + TF
}
found if input.xs[_] == 2          # + TF
unread if {                        # +
	some _ in input.xs             # + TF
}
keys if {                          # +
	some key, value in input.o     # + TF
	key == "a"                     # + TF
	value                          # + ?
}
nested if {                        # +
	some a in input.xs             # + TF
	some b in [1, 2]               # + T
	a == b                         # + TF
}
of_set if {                        # -
	some m in members              # + T
	m.id == 9                      # + F
}
members contains {"id": x} if some x in [1, 2]  # + T
ref if {                           # +
	members[m]                     # + T
	m.id == 2                      # + TF
}
""",
        """
data_ := {"xs": [1, 2, 3], "o": {"a": 1}}
test_over if t.over with input as data_
test_none if not t.none with input as data_
test_indexed if t.indexed with input as data_
test_found if t.found with input as data_
test_unread if t.unread with input as data_
test_keys if t.keys with input as data_
test_nested if t.nested with input as data_
test_of_set if not t.of_set
test_ref if t.ref
test_empty if {
	not t.over with input as {"xs": []}
	not t.none with input as {"xs": []}
	not t.indexed with input as {"xs": []}
	not t.found with input as {"xs": []}
	not t.unread with input as {"xs": []}
	not t.keys with input as {"o": {"b": 1}}
	not t.keys with input as {}
	not t.nested with input as {}
	not t.indexed with input as {"xs": [3]}
}
""",
    ),
    "every, not and comprehensions": (
        """
all_small if {                     # +
	every x in input.xs {          # + TF
		x < 9                      # + TF
		x != 4                     # + TF
	}
}
all_known if {                     # +
	every x in input.xs { known(x) }  # + T
}
known(x) if x in [1, 2, 9, 4]      # + TF
no_names if not input.name         # + TF
unnamed if not input.name == "a"   # + T
not_indexed if not input.xs[_] == 3  # + TF
not_called if not known(77)        # + T
large := [x |                      # +
	some x in input.xs             # + T
	x > 7                          # + TF
]
by_name := {k: v | some k, v in input.o; v != 1}  # + T;F
counted if count({x | some x in input.xs; x > 100}) == 0  # + T;T
inside if {                        # -
	count([1 |                     # + F
		some x in input.xs         # + T
		not known(x)               # + F
	]) > 0
}
given := {"all": [y | y := input.xs[_]]}  # + T
""",
        """
test_small if t.all_small with input as {"xs": [1, 2]}
test_large if not t.all_small with input as {"xs": [1, 9]}
test_four if not t.all_small with input as {"xs": [1, 4]}
test_known if t.all_known with input as {"xs": [1, 9]}
test_no_names if t.no_names
test_names if not t.no_names with input as {"name": "a"}
test_unnamed if t.unnamed
test_not_indexed if t.not_indexed with input as {"xs": [1]}
test_indexed if not t.not_indexed with input as {"xs": [1, 3]}
test_not_called if t.not_called
test_comprehension if t.large == [9] with input as {"xs": [1, 9]}
test_by_name if t.by_name == {} with input as {"o": {"a": 1}}
test_counted if t.counted with input as {"xs": [1]}
test_inside if not t.inside with input as {"xs": [1]}
test_given if t.given == {"all": [1]} with input as {"xs": [1]}
""",
    ),
    "else, functions and defaults": (
        """
level := "high" if {               # +
	input.n > 9                    # + TF
} else := "middle" if {            # +
	input.n > 4                    # + TF
} else := "low"                    # +
grade(n) := "a" if n > 9           # + F
else := "b" if {                   # -
	n > 4                          # + F
	n < 7                          # -
} else := "c" if {                 # -
	n > 100                        # + F
}
default open := false              # +
open if input.open                 # + F
default shut := false              # -
shut if input.shut                 # + T
op("eq", c) if c.a == c.b          # + T
op("in", c) if {                   # -
	c.a in c.b                     # + F
}
op("lt", c) if c.a < c.b           # -
op(["both", x], c) if x == c       # + T
fixed(1) := "one"                  # +
fixed(2) := "two"                  # -
default size(_) := 0               # +
size(x) := 1 if x > 3              # + F
limit := 3                         # +
flag := true                       # +
yes if true                        # + ?
alone contains "a"                 # +
alone contains input.absent        # -
deny contains {                    # +
	"code": "A",
	"limit": limit,
} if {
	input.n > limit                # + T
}
deny contains {"code": "B"} if {   # -
	input.n > 100                  # + F
	helper(input.n)                # -
}
helper(n) if n == 200              # -
dead if input.dead                 # -
assigned(x) := y if {              # +
	y := x.value                   # + TF
	[first, _] := x.pair           # + ?
	first > 1                      # + TF
	{"k": k} = x.object            # + ?
	k                              # + ?
	x.after                        # + T
}
loop[k] contains v if {            # +
	some k, vs in input.m          # + T
	some v in vs                   # + T
}
""",
        """
test_high if t.level == "high" with input as {"n": 10}
test_middle if t.level == "middle" with input as {"n": 5}
test_low if t.level == "low" with input as {"n": 1}
test_grade if not t.grade(3)
test_open if not t.open
test_shut if t.shut with input as {"shut": true}
test_op if {
	t.op("eq", {"a": 1, "b": 1})
	not t.op("in", {"a": 1, "b": []})
	t.op(["both", 3], 3)
}
test_fixed if t.fixed(1) == "one"
test_size if t.size(1) == 0
test_constants if {
	t.limit == 3
	t.flag
	t.yes
	t.alone == {"a"}
}
test_deny if count(t.deny) == 1 with input as {"n": 4}
test_assigned if t.assigned({"value": 1, "pair": [2, 3], "object": {"k": 1}, "after": 1}) == 1
test_not_assigned if not t.assigned({"pair": [1, 3]})
test_not_first if not t.assigned({"value": 1, "pair": [1, 3], "object": {"k": 1}, "after": 1})
test_loop if t.loop.a == {1, 2} with input as {"m": {"a": [1, 2]}}
""",
    ),
    "order, lines and columns": (
        """
several if { input.a; input.b }    # + T;F
wide if {                          # -
	sum([                          # + F
		input.a,
		count(input.b),
	]) > 100
	input.c                        # -
}
accent := "ü" if { "ä" == input["é"]; "ü" != input["é"] }  # + T;T
tabbed if {		input.a == 1 }     # + T
strings if input.s == "a # b; c"   # + F
split if {                         # +
	input.t ==                     # + T
		`a
b`
}
hoisted if {                       # -
	later == 7                     # + F
	input.z                        # -
}
later := x if x := input.later     # + T
""",
        """
data_ := {"a": 1, "b": [], "s": "x", "é": "ä", "t": "a\\nb", "later": 3}
test_several if not t.several with input as {"a": 1}
test_wide if not t.wide with input as data_
test_accent if t.accent == "ü" with input as data_
test_tabbed if t.tabbed with input as data_
test_strings if not t.strings with input as data_
test_split if t.split with input as data_
test_hoisted if not t.hoisted with input as data_
""",
    ),
    "overrides outside of tests": (
        """
mocked if {                        # +
	inner with input as {"a": 1}   # + T
	not inner with input as {}     # + T
	count([x | some x in input.xs; x > 1]) == 1 with input as {"xs": [1, 2]}  # + T;T
}
inner if input.a                   # + TF
""",
        "test_mocked if t.mocked",
    ),
}


def expected(text: str) -> Iterator[tuple[int, bool, list[str]]]:
    """The lines that count, whether they are covered, and the outcomes of their expressions."""
    for number, line in enumerate(text.split("\n"), 1):
        if found := re.search(r"# ([+-])([TF?; ]*)$", line):
            outcomes = [outcome.strip() for outcome in found[2].split(";")]
            yield number, found[1] == "+", outcomes


@cache
def covered(name: str) -> dict[str, Any]:
    policy, tests = POLICIES[name]
    modules = {"t.rego": HEADER + policy, "t_test.rego": TEST_HEADER + tests}
    return cover(modules, {}, None, 10.0)


def outcome(expression: Mapping[str, Any]) -> str:
    if not expression["is_told"]:
        return "?" if expression["is_evaluated"] else ""
    return "T" * expression["is_true"] + "F" * expression["is_false"]


@pytest.mark.parametrize("name", POLICIES)
def test_tests_pass_on_the_marked_plan(name: str) -> None:
    assert {test["name"]: test["outcome"] for test in covered(name)["tests"]} == {
        test["name"]: "passed" for test in covered(name)["tests"]
    }


@pytest.mark.parametrize("name", POLICIES)
def test_lines_are_covered_as_they_say(name: str) -> None:
    found: dict[int, bool] = {}
    for clause in covered(name)["clauses"]:
        found[clause["line"]] = clause["is_held"]
    for expression in covered(name)["expressions"]:
        line = expression["line"]
        found[line] = found.get(line, False) or expression["is_evaluated"]
    text = HEADER + POLICIES[name][0]
    assert found == {line: is_covered for line, is_covered, _ in expected(text)}


@pytest.mark.parametrize("name", POLICIES)
def test_expressions_come_out_as_their_lines_say(name: str) -> None:
    by_line: dict[int, list[str]] = {}
    for expression in covered(name)["expressions"]:
        by_line.setdefault(expression["line"], []).append(outcome(expression))
    text = HEADER + POLICIES[name][0]
    wanted = {line: outcomes for line, _, outcomes in expected(text) if line in by_line}
    assert {line: found[: len(wanted[line])] for line, found in by_line.items()} == wanted


@pytest.mark.parametrize("name", POLICIES)
def test_another_engine_evaluates_the_same_lines(name: str) -> None:
    engine = regorus.Engine()
    engine.add_policy("t.rego", HEADER + POLICIES[name][0])
    engine.add_policy("t_test.rego", TEST_HEADER + POLICIES[name][1])
    engine.set_enable_coverage(True)
    for test in covered(name)["tests"]:
        engine.eval_rule(test["name"])
    (report, _) = json.loads(engine.get_coverage_report_as_json())["files"]
    # It counts the lines of heads in its own way.
    heads = {
        line
        for clause in covered(name)["clauses"]
        for line in range(clause["line"], clause["last_line"] + 1)
    }
    expressions = [item for item in covered(name)["expressions"] if item["line"] not in heads]
    evaluated = {item["line"] for item in expressions if item["is_evaluated"]}
    assert evaluated == {*report["covered"]} & {item["line"] for item in expressions}
    assert evaluated


def test_all_tests_of_the_shipped_policies_have_the_same_outcome_with_marks() -> None:
    folder = SHIPPED / "policies"
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in [*folder.rglob("*.rego"), *folder.rglob("data.json")]
    }
    modules, data = content.modules(files, tests=True), content.data(files)
    found = cover(modules, data, None, 10.0)
    marked = {test["name"]: (test["outcome"], test["message"]) for test in found["tests"]}
    assert marked == {test.name: (test.outcome, test.message) for test in run_tests(modules, data)}
    assert len(marked) > 100
    assert not [item for item in found["expressions"] if not item["is_told"]]


BROKEN = """
test_fails if t.x == 2
test_one := t.one
test_errs if t.clash(1)
test_hangs if replace(t.abc, "", "x")
todo_test_later if t.x
"""
RULES = """package t

x := 1
one := 1
clash(n) := 1 if n
clash(n) := 2 if n
abc := "abc"
"""


@cache
def broken() -> dict[str, str]:
    return {"t.rego": RULES, "t_test.rego": TEST_HEADER + BROKEN}


def test_what_does_not_pass_or_come_to_its_end_is_told_as_without_marks() -> None:
    marked = {test["name"]: test for test in cover(broken(), {}, None, 0.5)["tests"]}
    plain = run_tests(broken(), {}, seconds_each=0.5)
    for test in plain[:-1]:
        assert marked[test.name]["outcome"] == test.outcome
        if test.outcome == "error":
            assert marked[test.name]["message"].endswith(test.message)
    assert plain[-1].outcome == "skipped"
    assert marked.keys() == {test.name for test in plain[:-1]}
    assert {test["outcome"] for test in marked.values()} == {"failed", "error"}


def reached(modules: Mapping[str, str], pattern: str | None = None) -> dict[str, set[int]]:
    """The lines of t.rego that each test reaches."""
    return {
        run.test.rule: {line for file, line in run.lines if file == "t.rego"}
        for run in runs(modules, {}, units_of(modules), pattern, 0.5)
    }


def test_lines_that_a_test_reaches() -> None:
    text = """package t

deny contains {
	"a": helper(input.a),
} if {
	input.a > 3
	input.b
	input.c
}
helper(1) := 7
helper(n) := n * 2 if {
	n > 5
	n < 9
}
unused := 3
late if {
	[a, b] := input.pair
	a > b
}
"""
    tests = """
test_deny if count(t.deny) == 1 with input as {"a": 7, "b": 1, "c": 1}
test_small if count(t.deny) == 0 with input as {"a": 2}
test_late if not t.late with input as {}
"""
    modules = {"t.rego": text, "t_test.rego": TEST_HEADER + tests}
    assert reached(modules) == {
        "test_deny": {3, 4, 5, 6, 7, 8, 10, 11, 12, 13},
        "test_small": {3, 4, 5, 6},
        # What unpacks an array cannot be told apart: it counts as reached where its rule is.
        "test_late": {16, 17},
    }


def test_of_a_test_that_did_not_come_to_its_end_nothing_is_known_and_a_pattern_chooses() -> None:
    found = reached(broken())
    assert found["test_fails"] == {3}
    assert found["test_hangs"] == found["test_errs"] == set()
    assert reached(broken(), "test_one$") == {"test_one": {4}}


def test_tests_of_one_name_in_two_files_are_kept_apart() -> None:
    modules = {
        "t.rego": "package t\n\nx := 1\n\ny := 2\n",
        "a_test.rego": "package t_test\n\nimport data.t\n\ntest_a if t.x == 1\n",
        "b_test.rego": "package t_test\n\nimport data.t\n\ntest_a if t.y == 3\n",
    }
    found = cover(modules, {}, None, 10.0)
    assert [(test["file"], test["outcome"]) for test in found["tests"]] == [
        ("a_test.rego", "passed"),
        ("b_test.rego", "failed"),
    ]
    assert [clause["is_held"] for clause in found["clauses"]] == [True, True]


def test_a_rule_in_several_files_and_packages_is_told_apart_by_its_places() -> None:
    modules = {
        "a.rego": "package t\n\nx contains 1\n\nx contains 2 if input.a\n",
        "b.rego": "package t\n\nx contains 3 if input.b\n\nx contains 4\n",
        "c.rego": "package other\n\nx contains 5\n",
        "t_test.rego": TEST_HEADER + 'test_x if t.x == {1, 3, 4} with input as {"b": 1}\n',
    }
    held = [
        (clause["file"], clause["line"])
        for clause in cover(modules, {}, None, 10.0)["clauses"]
        if clause["is_held"]
    ]
    assert held == [("a.rego", 3), ("b.rego", 3), ("b.rego", 5)]


def test_without_tests_nothing_is_covered() -> None:
    found = cover({"t.rego": "package t\n\nx if input.a\n"}, {}, None, 10.0)
    assert found["tests"] == []
    assert not any(item["is_held"] or item["is_entered"] for item in found["clauses"])
    assert not any(item["is_evaluated"] for item in found["expressions"])


def test_what_does_not_compile_raises() -> None:
    with pytest.raises(CompileError):
        cover({"t_test.rego": "package t\n\ntest_x if y.z\n"}, {}, None, 10.0)
