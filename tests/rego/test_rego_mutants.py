"""Faults put into policies: which there are, and that each runs as its changed source would."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from scopebound_engine.bundle.format import content
from scopebound_engine.bundle.format.build import build
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import EngineError
from scopebound_engine.rego.mutants import job
from scopebound_engine.rego.mutants.catalog import mutations
from scopebound_engine.rego.mutants.laboratory import Laboratory
from scopebound_engine.rego.mutants.mutation import Mutation
from scopebound_engine.rego.sandbox import stream_from_child
from scopebound_engine.rego.testing.cases import find_tests
from scopebound_engine.rego.testing.suite import Suite

JOB = "scopebound_engine.rego.mutants.job:tried"
ODD = """package odd

import rego.v1

default level := 3

level := 4 if high

high if input.amount >= 10

# Names of several parts, keys and elements.
deep.one.two := 5 if high

deep.one.three := 6 if not high

byname[name] := size if {
	some name, size in input.sizes
	size != 0
}

byname["fixed"] := 1 if input.fixed

kinds contains kind if {
	some kind in ["a", "b"]
	kind in input.kinds
}

kinds contains "c" if high

cost(1) := 10 if input.cheap

cost(1) := 20 if not input.cheap

cost(number) := number * 2 if {
	number > 1
	known(number)
} else := 0

known(number) if is_number(number)

total := sum([cost(number) | some number in input.numbers; number > 0]) + 1

every_one if {
	every number in input.numbers { number < 5; known(number) }
}

whole := object.union(data.odd.parts, {"x": 1})
"""
PARTS = """package odd.parts

import rego.v1

first := "one" if input.first

second := [1, 2] if true
"""
ODD_TEST = """package odd_test

import rego.v1

import data.odd

given := {
	"amount": 10,
	"sizes": {"s": 1, "m": 0},
	"kinds": ["a", "c"],
	"cheap": true,
	"numbers": [1, 2, 0],
	"first": true,
}

test_level if {
	odd.level == 4 with input as given
	odd.level == 3 with input as {"amount": 9}
}

test_deep if {
	odd.deep.one.two == 5 with input as given
	odd.deep.one == {"three": 6} with input as {"amount": 9}
}

test_by_name if {
	odd.byname == {"s": 1} with input as given
	odd.byname == {"s": 1, "fixed": 1} with input as object.union(given, {"fixed": true})
}

test_kinds if odd.kinds == {"a", "c"} with input as given

test_cost if {
	odd.total == 15 with input as given
	odd.cost(1) == 20 with input as {"cheap": false}
}

test_every if {
	odd.every_one with input as given
	not odd.every_one with input as {"numbers": [5]}
}

test_whole_package if {
	odd.parts == {"first": "one", "second": [1, 2]} with input as given
	odd.whole == {"first": "one", "second": [1, 2], "x": 1} with input as given
}

anything(_) := true

test_with_replaced_rules if {
	odd.level == 4 with odd.high as true
	odd.level == 3 with odd.high as false with input as given
	odd.cost(7) == 14 with odd.known as anything
	odd.total == 1 with input as {"numbers": []} with odd.known as anything
}
"""
# What all tests of the shipped policies need, and the tests of all odd rules.
SHARED = {"scopebound/fixtures_test.rego", "odd/odd_test.rego"}
ODD_MODULES = {"odd/odd.rego": ODD, "odd/parts.rego": PARTS, "odd/odd_test.rego": ODD_TEST}


def words(rule: str) -> list[str]:
    """The faults of one rule, in words."""
    return [item.words for item in mutations({"x.rego": f"package x\n\n{rule}\n"}, ["x.rego"])]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("a := b\n\nb := input.b", ["never `a := b`", "never `b := input.b`"]),
        (
            "a if {\n\tinput.b > 1\n\tnot input.c\n}",
            [
                "never `a if { input.b > 1 not input.c }`",
                "without `input.b > 1`",
                "without `not input.c`",
                "`not input.c` → `input.c`",
                "`input.b > 1` → `input.b >= 1`",
                "`input.b > 1` → `input.b > 2`",
                "`input.b > 1` → `input.b > 0`",
            ],
        ),
        (
            'a := "x" if input.b\nelse := true',
            [
                'never `a := "x" if input.b`',
                "without `else := true`",
                "without `input.b`",
                '`a := "x" if input.b` → `a := "x~" if input.b`',
                "`else := true` → `else := false`",
            ],
        ),
        (
            "default a := false\n\na if input.b",
            [
                "without `default a := false`",
                "`default a := false` → `default a := true`",
                "without `a if input.b`",
                "without `input.b`",
            ],
        ),
        (
            "a if is_number(input.b)",
            [
                "never `a if is_number(input.b)`",
                "without `is_number(input.b)`",
                "`a if is_number(input.b)` → `a if input.b != null`",
            ],
        ),
        (
            "a contains 1 if not is_array(input.b)",
            [
                "never `a contains 1 if not is_array(input.b)`",
                "without `not is_array(input.b)`",
                "`not is_array(input.b)` → `is_array(input.b)`",
                "`a contains 1 if not is_array(input.b)` →"
                " `a contains 1 if is_array(input.b) == false`",
                "`a contains 1 if not is_array(input.b)` → `a contains 1 if not input.b != null`",
                "`a contains 1 if not is_array(input.b)` → `a contains 2 if not is_array(input.b)`",
                "`a contains 1 if not is_array(input.b)` → `a contains 0 if not is_array(input.b)`",
            ],
        ),
        (
            "a if input.b in input.item",
            [
                "never `a if input.b in input.item`",
                "without `input.b in input.item`",
                "`a if input.b in input.item` →"
                " `a if [item_ | some item_ in input.item; lower(input.b) == lower(item_)] != []`",
                "`a if input.b in input.item` →"
                " `a if [item_ | some item_ in input.item; startswith(input.b, item_)] != []`",
            ],
        ),
        (
            'a contains b if { some b in ["x", "y"]; b }',
            [
                'never `a contains b if { some b in ["x", "y"]; b }`',
                "without `b`",
                '`a contains b if { some b in ["x", "y"]; b }` →'
                ' `a contains b if { some b in ["x~", "y"]; b }`',
                '`a contains b if { some b in ["x", "y"]; b }` →'
                ' `a contains b if { some b in ["x", "y~"]; b }`',
                'without the element `"x"`',
                'without the element `"y"`',
            ],
        ),
    ],
)
def test_a_rule_has_these_faults(rule: str, expected: list[str]) -> None:
    assert words(rule) == expected


@pytest.mark.parametrize(
    "rule",
    [
        'a := input["x"]["y"]',
        'a := {"key": input.b}',
        'a(1, "x", [true]) := input.b',
        "a := sprintf(input.b, [input.c, input.d])",
        "a := input.b[0]",
        "a := x if [x, input.c] = input.b",
    ],
)
def test_names_patterns_and_what_binds_are_left_as_they_are(rule: str) -> None:
    assert [word.split()[0] for word in words(rule)] == ["never"]


def test_expressions_that_give_variables_values_are_not_dropped() -> None:
    found = words("a if {\n\tb := input.b\n\tsome c in b\n\tinput.d[e] == c\n\tf(e)\n}")
    assert not [word for word in found if word.startswith("without")]


def test_a_rule_in_several_files_of_a_package_loses_its_clause_whole() -> None:
    modules = {
        "a.rego": "package x\n\nfound contains 1 if input.a\n",
        "b.rego": "package x\n\nfound contains 2 if input.b\n",
    }
    deleted = [item for item in mutations(modules, list(modules)) if item.kind == "clause deleted"]
    assert [item.applied(modules[item.file]).strip() for item in deleted] == ["package x"] * 2


def test_words_stay_the_same_where_lines_move_and_tell_all_faults_of_a_rule_apart() -> None:
    moved = {path: text.replace("\n\n", "\n\n\n# moved\n") for path, text in ODD_MODULES.items()}
    rules = ["odd/odd.rego", "odd/parts.rego"]
    keys, others = (
        [(item.file, item.rule, item.words) for item in mutations(modules, rules)]
        for modules in (ODD_MODULES, moved)
    )
    assert keys == others
    assert len({*keys}) == len(keys)


def test_only_rules_of_a_pattern() -> None:
    found = mutations(ODD_MODULES, ["odd/odd.rego", "odd/parts.rego"], r"odd\.parts\.")
    assert {item.rule for item in found} == {"data.odd.parts.first", "data.odd.parts.second"}


def differences(
    modules: Mapping[str, str], data: Mapping[str, Any], chosen: Mapping[int, Mutation]
) -> Iterator[str]:
    """Where a test comes out otherwise than with the changed source compiled alone."""
    names = [test.entrypoint for test in find_tests(modules)]
    laboratory = Laboratory(modules, data, names, chosen)
    for number, mutation in chosen.items():
        near = {path: text for path, text in modules.items() if is_near(path, mutation.file)}
        tests = [test.entrypoint for test in find_tests(near)]
        changed = {**near, mutation.file: mutation.applied(modules[mutation.file])}
        alone = Suite(changed, data, tests, 10.0, strict=False)
        for index, test in enumerate(tests):
            expected = alone.run(index)["outcome"]
            if outcome(laboratory, test, number) != expected:
                yield f"{mutation.rule}: {mutation.words}: {test} {expected}"


def is_near(path: str, rule: str) -> bool:
    """Whether a file holds rules, or tests that are likely to notice a fault of one of them."""
    beside = rule.replace(".rego", "_test.rego")
    return not path.endswith("_test.rego") or path in {beside, *SHARED}


def outcome(laboratory: Laboratory, test: str, number: int) -> str:
    try:
        return "passed" if laboratory.holds(test, number) else "failed"
    except EngineError:
        return "error"


def test_every_mutant_of_odd_rules_runs_as_its_source_would() -> None:
    chosen = dict(enumerate(mutations(ODD_MODULES, ["odd/odd.rego", "odd/parts.rego"])))
    assert len(chosen) > 80
    assert list(differences(ODD_MODULES, {}, chosen)) == []


def shipped() -> tuple[dict[str, str], dict[str, Any]]:
    files = build(SHIPPED / "policies", SHIPPED / "manifest.json")
    return content.modules(files, tests=True), content.data(files)


def test_mutants_of_the_shipped_rules_run_as_their_source_would() -> None:
    modules, data = shipped()
    everything = mutations(modules, [path for path in modules if not path.endswith("_test.rego")])
    chosen = dict(random.Random(7).sample([*enumerate(everything)], 5))
    assert list(differences(modules, data, chosen)) == []


def tried(modules: Mapping[str, str], enough: int = 1, seconds: float = 5.0) -> list[Any]:
    rules = [path for path in modules if not path.endswith("_test.rego")]
    arguments = (dict(modules), {}, rules, "", enough, seconds)
    return list(stream_from_child(JOB, *arguments, seconds=60))


def by_words(answers: list[Any]) -> dict[str, Any]:
    """How each mutant fared."""
    listing, *fates = answers
    return {listing["mutations"][fate["mutant"]]["words"]: fate for fate in fates}


def test_a_mutant_that_loops_is_killed_by_its_deadline() -> None:
    match = 'regex.match("^(a+)+$", s)'
    modules = {
        # The engine backtracks: it takes years for forty characters that do not match.
        "x/a.rego": f"package x\n\na(s) if {{\n\tcount(s) < 9\n\t{match}\n}}\n",
        "x/a_test.rego": f'package x_test\n\nimport data.x\n\ntest_a if not x.a("{"a" * 40}b")\n',
    }
    fates = by_words(tried(modules))
    assert fates["without `count(s) < 9`"]["killers"] == [0]
    assert "took more than 2." in fates["without `count(s) < 9`"]["message"]
    assert fates[f"without `{match}`"]["killers"] == []


def test_what_does_not_compile_is_told_and_the_others_are_tried() -> None:
    modules = {"x/a.rego": "package x\n\na if input.a\n\nb if input.b\n"}
    good, other = mutations(modules, ["x/a.rego"])[:2]
    broken = replace(good, start=good.start - 8, end=good.start, text="if )(")
    assert set(job._compiling(modules, {0: good, 1: broken, 2: other})) == {0, 2}


def test_all_killers_are_found_where_all_are_asked_for() -> None:
    modules = {
        "x/a.rego": "package x\n\na if input.a == 1\n",
        "x/a_test.rego": "package x_test\n\nimport data.x\n\n"
        'test_one if x.a with input as {"a": 1}\n\ntest_two if not x.a with input as {"a": 2}\n\n'
        'test_three if x.a with input as {"a": 1}\n',
    }
    fates = by_words(tried(modules, enough=0))
    assert sorted(fates["never `a if input.a == 1`"]["killers"]) == [0, 2]
    assert fates["without `input.a == 1`"]["killers"] == [1]


def test_tests_that_fail_as_things_are_end_the_run() -> None:
    modules = {
        "x/a.rego": "package x\n\na if input.a\n",
        "x/a_test.rego": "package x_test\n\nimport data.x\n\ntest_a if x.a\n",
    }
    listing, *rest = tried(modules)
    assert [item["failed"] for item in rest] == [0]
    assert len(listing["mutations"]) == 2


def test_without_tests_nothing_is_noticed() -> None:
    _, *fates = tried({"x/a.rego": "package x\n\na if input.a\n"})
    assert [(fate["tests"], fate["killers"]) for fate in fates] == [([], []), ([], [])]


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        ("[ input.a, ]", ["[]"]),
        ("{ input.a }", ["set()"]),
        ("{\n\tinput.a,\n\tinput.b,\n}", ["{\n\tinput.b,\n}", "{\n\tinput.a,\n}"]),
    ],
)
def test_an_element_goes_with_what_parts_it_from_others(value: str, changed: list[str]) -> None:
    text = f"package x\n\na := {value}\n"
    found = mutations({"x.rego": text}, ["x.rego"])
    dropped = [item.applied(text) for item in found if item.kind == "element dropped"]
    assert dropped == [f"package x\n\na := {item}\n" for item in changed]


def test_functions_named_like_checks_and_tests_beside_rules_are_left_as_they_are() -> None:
    assert words("a := data.lib.is_number(input.b)") == ["never `a := data.lib.is_number(input.b)`"]
    assert words("test_a if input.b") == []
