"""The layout of formatted Rego. That it is that of `opa fmt` was learned from files it wrote."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopebound_engine.author.formatting.text import difference, formatted
from tests.author.layouts import scattered

CONSTRUCTS = (Path(__file__).parent / "constructs.rego").read_text()
SHIPPED = Path(__file__).parents[2] / "policies"
POLICIES = {path.name: path.read_text() for path in sorted(SHIPPED.rglob("*.rego"))}

# What it is about, how it is written, how it is formatted; both below a package clause.
CASES = {
    "blanks": ("x:=f( a,b )[0]+1-(c*2)", "x := f(a, b)[0] + 1 - (c * 2)"),
    "signs": ("x := -1\n\ny if z == - 1", "x := -1\n\ny if z == -1"),
    "keywords as names": ("x := input.in [ 0 ].if", "x := input.in[0].if"),
    "contains": ("p contains[1] if contains (a, b)", "p contains [1] if contains(a, b)"),
    "indentation": ("p if {\n  x\n        y\n}", "p if {\n\tx\n\ty\n}"),
    "one expression on the head's line": ("p if { x }\n\nq if {x}", "p if x\n\nq if x"),
    "one expression below": ("p if\n  x", "p if {\n\tx\n}"),
    "one expression in braces below": ("p if {\n x }", "p if {\n\tx\n}"),
    "every as body": ("p if { every x in y { x } }", "p if {\n\tevery x in y { x }\n}"),
    "an override as body": ("p if { x with a as 1 }", "p if {\n\tx with a as 1\n}"),
    "a set as body": ("p if { {1} }", "p if {\n\t{1}\n}"),
    "several on a line": ("p if { x; y }", "p if {\n\tx\n\ty\n}"),
    "empty lines in a body": ("p if {\n\n\tx\n\n\n\ty\n\n}", "p if {\n\tx\n\n\ty\n}"),
    "else beside a brace": ("p if {\n x\n} else := 1", "p if {\n\tx\n} else := 1"),
    "else on a line of its own": ("p if {\n x\n}\nelse := 1", "p if {\n\tx\n}\n\nelse := 1"),
    "else after one line": ("p := 1 if x else := 2", "p := 1 if x\n\nelse := 2"),
    "comment above else": ("p if x # a\n# b\nelse := 1", "p if x # a\n\n# b\nelse := 1"),
    "rules apart": ("a := [\n1]\nb := 2\n\n\n\nc := 3", "a := [\n\t1,\n]\n\nb := 2\n\nc := 3"),
    "short rules together": ("a := 1\nb if x\nc contains 2", "a := 1\nb if x\nc contains 2"),
    "defaults are apart": ("default a := 1\na := 2 if x", "default a := 1\n\na := 2 if x"),
    "a list on one line": ("x := [ 1,2 , ]", "x := [1, 2]"),
    "a list over lines": ("x := [1, 2,\n 3]", "x := [\n\t1, 2,\n\t3,\n]"),
    "a list begun below": ("x := [\n1, 2]", "x := [\n\t1, 2,\n]"),
    "an object over lines": ('x := {"a":1,\n"b" :2}', 'x := {\n\t"a": 1,\n\t"b": 2,\n}'),
    "arguments over lines": ("x := f(\na,\nb)", "x := f(\n\ta,\n\tb,\n)"),
    "a last argument over lines": (
        'x := f({"a": 1,\n"b": 2})',
        'x := f({\n\t"a": 1,\n\t"b": 2,\n})',
    ),
    "parameters over lines": ("f(a,\nb) := a", "f(\n\ta,\n\tb,\n) := a"),
    "a set in a list": ("x := [1, {\n2}]", "x := [1, {\n\t2\n}]"),
    "the empty set and object": ("x := set()\n\ny := {  }", "x := set()\n\ny := {}"),
    "an expression over lines": ("x := a +\n\tb\n\t- c", "x := a + b - c"),
    "a comment in an expression": ("x := a + # c\nb", "x := a + # c\n\tb"),
    "comments in a list": (
        "x := [ # a\n1, # b\n\n\n# c\n\n# d\n2 # e\n# f\n]",
        "x := [ # a\n\t1, # b\n\t# c\n\n\t# d\n\t2, # e\n\t# f\n]",
    ),
    "comma first": ("x := [ 1\n, 2 # two\n]", "x := [\n\t1,\n\t2, # two\n]"),
    "comments in a body": (
        "p if { # a\n# b\n\nx # c\n# d\ny\n# e\n} # f",
        "p if { # a\n\t# b\n\n\tx # c\n\n\t# d\n\ty\n\t# e\n} # f",
    ),
    "a comprehension": ("x := [ a|a := b[_];c ]", "x := [a | a := b[_]; c]"),
    "a comprehension over lines": ("x := [a | b\nc]", "x := [a |\n\tb\n\tc\n]"),
    "a comprehension begun below": ("x := {\na: 1 | b}", "x := {a: 1 |\n\tb\n}"),
    "every on one line": (
        "p if {\nevery x in y {a;b}\n}",
        "p if {\n\tevery x in y { a; b }\n}",
    ),
    "every over lines": (
        "p if {\nevery k,v in y {\na}\n}",
        "p if {\n\tevery k, v in y {\n\t\ta\n\t}\n}",
    ),
    "some over lines": ("p if {\nsome a,\nb\nc}", "p if {\n\tsome a,\n\t\tb\n\tc\n}"),
    "with on lines of its own": (
        "p if {\nx with a as 1\nwith b as {\n2} with c as 3\n}",
        "p if {\n\tx with a as 1\n\t\twith b as {\n\t\t\t2,\n\t\t}\n\t\twith c as 3\n}",
    ),
    "imports": (
        "import data.b # b\n\nimport input.z as y\nimport rego.v1\nimport data.c\n# x\nimport a",
        "import data.b # b\n\nimport data.c\nimport input.z as y\nimport rego.v1\n\n# x\nimport a",
    ),
    "imports with comments stay": (
        "import data.b\nimport data.a # a",
        "import data.b\nimport data.a # a",
    ),
    "raw strings": ("x := `a\r\n\t # b  \n\n\n`", "x := `a\r\n\t # b  \n\n\n`"),
    "strings": ('x := "a  #\\" b"', 'x := "a  #\\" b"'),
    "carriage returns": ("x := 1 # a\r\n\r\n\r\ny := 2\r\n", "x := 1 # a\n\ny := 2"),
    "comments at the end": ("x := 1\n# a\n\n\n# b", "x := 1\n\n# a\n\n# b"),
    "metadata": ("# METADATA\n# title:  x\n# custom:\n#   code: A\np if x", None),
    "bodies without if": ("p {x}", "p {\n\tx\n}"),
}


@pytest.mark.parametrize("name", CASES)
def test_layout(name: str) -> None:
    source, expected = CASES[name]
    after = "package a\n\n" + (expected or source) + "\n"
    assert formatted(f"package a\n{source}") == after
    assert difference(f"package a\n{source}", after) == ""


def test_comments_above_the_package_stay_above_it() -> None:
    source = "\n# a\n\n\n# METADATA\n# title: b\npackage a\n# c\nx := 1"
    assert formatted(source) == "# a\n\n# METADATA\n# title: b\npackage a\n\n# c\nx := 1\n"


def test_all_constructs_are_as_they_should_be() -> None:
    assert formatted(CONSTRUCTS) == CONSTRUCTS


@pytest.mark.parametrize("path", POLICIES)
def test_shipped_policies_are_in_style(path: str) -> None:
    assert formatted(POLICIES[path]) == POLICIES[path]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from((CONSTRUCTS, *POLICIES.values())), st.randoms(use_true_random=False))
def test_any_layout_keeps_tokens_and_comments_and_settles_at_once(
    text: str, random: Random
) -> None:
    source = scattered(text, random)
    assert difference(source, formatted(source)) == ""


def test_changed_tokens_are_noticed() -> None:
    assert (
        difference("package a\nx := 1\n", "package a\n\nx := 2\n") == "its tokens would be others"
    )
    assert difference("package a\nx if {\ny\nz\n}", "package a\n\nx if {\n\ty z\n}\n")
    assert (
        difference("package a\nx := 1 # b\n", "package a\n\nx := 1\n")
        == "its comments would be others"
    )
    assert (
        difference("package a\nx := 1\n", "package a\nx := 1\n")
        == "formatted again it would change"
    )
