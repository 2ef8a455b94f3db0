"""The mutation score of the shipped policies and of small ones, and the list of equivalents."""

import os
import random
import shutil
from pathlib import Path

import pytest

from scopebound_engine.author import folder
from scopebound_engine.author.folder import Sources
from scopebound_engine.author.mutation.mutants import Mutant, Score
from scopebound_engine.author.mutation.mutate import mutants, score
from scopebound_engine.bundle.format.build import EQUIVALENTS, build
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import CompileError, ConfigError, FindingsError, InputError

THRESHOLD = 95
# Without the variable two tests are taken away by themselves; with it each that kills.
ALL = os.environ.get("SCOPEBOUND_TEST_MUTANTS") == "all"
RULES = """package shop

import rego.v1

open if {
	input.hour >= 9
	not input.holiday
}

unasked := 1 if input.hour == 3
"""
TESTS = """package shop_test

import rego.v1

import data.shop

test_open if shop.open with input as {"hour": 9}

test_before if not shop.open with input as {"hour": 8}

test_holiday if not shop.open with input as {"hour": 9, "holiday": true}

test_again if shop.open with input as {"hour": 9}

todo_test_later if shop.unasked
"""
MANIFEST = (SHIPPED / "manifest.json").read_text()


def written(place: Path, rules: str = RULES, tests: str = TESTS, equivalents: str = "") -> Sources:
    """A shop's policies in a folder."""
    (place / "shop").mkdir(parents=True, exist_ok=True)
    (place / "shop/rules.rego").write_text(rules)
    (place / "shop/rules_test.rego").write_text(tests)
    if equivalents:
        (place / EQUIVALENTS).write_text(equivalents)
    return folder.read(place)


def fates(found: Score) -> dict[str, str]:
    return {mutant.mutation.words: mutant.outcome for mutant in found.mutants}


@pytest.fixture(scope="module")
def whole() -> Score:
    """With two killers of each mutant, where it has two."""
    return score(folder.read(SHIPPED / "policies"), killers=2)


def test_the_shipped_policies_reach_the_threshold(whole: Score) -> None:
    survivors = [f"{item.mutation.rule}: {item.mutation.words}" for item in whole.survivors]
    print(f"{whole.percent:.1f} % of {len(whole.mutants)} mutants in {whole.seconds:.1f} s")
    assert whole.percent >= THRESHOLD, survivors


def test_every_survivor_of_the_shipped_policies_is_explained(whole: Score) -> None:
    assert [item.mutation.words for item in whole.survivors] == []
    assert whole.findings == ()
    assert [item.mutation.rule for item in whole.untested] == []


def without(place: Path, *tests: str) -> Sources:
    """A copy of the shipped policies without some tests, by their full names."""
    shutil.copytree(SHIPPED / "policies", place / "policies")
    for test in tests:
        file = (place / "policies").joinpath(*test.split(".")[1:-1]).with_suffix(".rego")
        head = f"\n{test.rpartition('.')[2]} if {{\n"
        before, rest = file.read_text().split(head)
        file.write_text(before + rest.partition("\n}\n")[2])
    return folder.read(place / "policies")


def needed(found: Score) -> list[str]:
    """The tests without any one of which some mutant would survive."""
    redundant = {*found.redundant}
    return [test for test in found.tests if test not in redundant]


def test_without_any_test_that_kills_the_score_is_lower(whole: Score, tmp_path: Path) -> None:
    """Each is the only killer of some mutant: what the others kill by themselves is nothing."""
    print(f"{len(needed(whole))} of {len(whole.tests)} tests are the only killer of a mutant")
    others = score(without(tmp_path, *needed(whole)))
    assert others.tests == tuple(whole.redundant)
    assert {mutant.killers for mutant in others.of("killed")} == set()


def test_the_score_falls_where_a_test_is_taken_away(whole: Score, tmp_path: Path) -> None:
    tests = needed(whole)
    for test in tests if ALL else random.Random(3).sample(tests, 2):
        alone = [item for item in whole.mutants if item.alone]
        rules = {item.mutation.rule for item in alone if item.killers == (test,)}
        before = [item for item in whole.mutants if item.mutation.rule == min(rules)]
        after = score(without(tmp_path / test, test), f"^{min(rules)}$")
        assert after.percent < percent(before), test


def percent(mutants: list[Mutant]) -> float:
    return Score(tuple(mutants), (), (), 0.0).percent


def test_a_rule_without_a_test_is_named(tmp_path: Path) -> None:
    found = score(written(tmp_path))
    assert [item.mutation.rule for item in found.untested] == ["data.shop.unasked"]
    assert found.untested[0].mutation.line == 10
    assert "no test comes to unasked" in found.untested[0].advice


def test_survivors_are_shown_as_changes_of_the_source(tmp_path: Path) -> None:
    tests = TESTS.replace("test_before if not", "todo_test_before if not")
    found = score(written(tmp_path, tests=tests))
    dropped = next(item for item in found.survivors if item.mutation.kind == "condition dropped")
    path = tmp_path / "shop/rules.rego"
    assert dropped.diff == (
        f"--- {path}\n+++ {path}\n@@ -5,3 +5,2 @@\n"
        " open if {\n-\tinput.hour >= 9\n \tnot input.holiday\n"
    )
    assert dropped.mutation.line == 6
    assert "open" in dropped.advice
    assert dropped.tests[0] == "data.shop_test.test_open"


def test_tests_that_others_stand_in_for_are_named(tmp_path: Path) -> None:
    found = score(written(tmp_path), killers=0)
    names = ["data.shop_test.test_open", "data.shop_test.test_again"]
    assert found.redundant == names
    assert score(written(tmp_path), killers=2).redundant == names


def test_a_test_that_fails_without_any_fault_ends_it(tmp_path: Path) -> None:
    with pytest.raises(FindingsError) as caught:
        score(written(tmp_path, tests=TESTS.replace('"hour": 8', '"hour": 10')))
    (finding,) = caught.value.findings
    assert (finding.file, finding.line) == ("shop/rules_test.rego", 9)
    assert "test_before" in finding.message


@pytest.mark.parametrize(
    ("rules", "tests", "error"),
    [
        ("package shop\n\nopen if {", TESTS, CompileError),
        ("package shop\n\nopen if {", "package shop_test\n", CompileError),
        ("package shop\n", TESTS, ConfigError),
        ("", TESTS, ConfigError),
    ],
)
def test_what_cannot_be_scored_is_refused(
    tmp_path: Path, rules: str, tests: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        score(written(tmp_path, rules, tests))


def test_patterns(tmp_path: Path) -> None:
    sources = written(tmp_path)
    assert {item.rule for item in mutants(sources, "unasked$")} == {"data.shop.unasked"}
    with pytest.raises(InputError):
        mutants(sources, "(")
    with pytest.raises(ConfigError, match="no rule matches nothing"):
        mutants(sources, "nothing")


def entry(mutation: str, reason: str = "It is the same for every hour of a day.") -> str:
    return (
        "equivalents:\n"
        "  - file: shop/rules.rego\n    rule: data.shop.unasked\n"
        f"    mutation: '{mutation}'\n    reason: {reason}\n"
    )


def test_what_is_explained_does_not_count(tmp_path: Path) -> None:
    words = "without `input.hour == 3`"
    sources = written(tmp_path, equivalents=entry(words))
    found = score(sources)
    assert found.findings == ()
    assert fates(found)[words] == "equivalent"
    assert found.percent > score(written(tmp_path / "bare")).percent


def test_explanations_survive_moved_lines(tmp_path: Path) -> None:
    words = "without `input.hour == 3`"
    moved = RULES.replace("\n\n", "\n\n\n# moved\n")
    assert fates(score(written(tmp_path, moved, equivalents=entry(words))))[words] == "equivalent"


@pytest.mark.parametrize(
    ("rule", "mutation", "message"),
    [
        ("data.shop.unasked", "without `input.hour == 4`", "there is no mutant"),
        ("data.shop.open", "without `input.hour >= 9`", "test_before notices it"),
    ],
)
def test_explanations_that_hold_no_more_are_found(
    tmp_path: Path, rule: str, mutation: str, message: str
) -> None:
    text = entry(mutation).replace("data.shop.unasked", rule)
    (finding,) = score(written(tmp_path, equivalents=text)).findings
    assert message in finding.message
    assert finding.line == 2


@pytest.mark.parametrize(
    "text",
    [
        entry("x", reason=""),
        entry("x", reason="   "),
        entry("x", reason="trust me"),
        entry("x").replace("    rule: data.shop.unasked\n", ""),
        entry("x") + "    more: x\n",
        entry("x").replace("equivalents:", "others:"),
        "[]",
        "",
        "equivalents: [",
    ],
)
def test_a_list_that_gives_no_reasons_is_refused(tmp_path: Path, text: str) -> None:
    written(tmp_path)
    (tmp_path / EQUIVALENTS).write_text(text)
    with pytest.raises(FindingsError):
        score(folder.read(tmp_path))


def test_the_list_stays_out_of_bundles(tmp_path: Path) -> None:
    written(tmp_path, equivalents=entry("x"))
    (tmp_path / "manifest.json").write_text(MANIFEST)
    assert EQUIVALENTS not in build(tmp_path, tmp_path / "manifest.json")
    assert folder.read(tmp_path).unfit == ()
