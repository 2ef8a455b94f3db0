"""`policy mutate`: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scopebound_engine.cli.policy import policy

RULES = """package shop

import rego.v1

open if {
	input.hour >= 9
	not input.holiday
}
"""
TESTS = """package shop_test

import rego.v1

import data.shop

test_open if shop.open with input as {"hour": 9}

test_before if not shop.open with input as {"hour": 8}

test_holiday if not shop.open with input as {"hour": 9, "holiday": true}
"""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/rules.rego").write_text(RULES)
    (tmp_path / "shop/rules_test.rego").write_text(TESTS)
    return tmp_path


def mutate(*args: object) -> Result:
    return CliRunner().invoke(policy, ["mutate", *map(str, args)])


def weaken(policies: Path) -> None:
    """Takes a test away that is the only one to notice some faults."""
    tests = policies / "shop/rules_test.rego"
    tests.write_text(tests.read_text().replace("test_before if", "todo_test_before if"))


def test_all_killed(policies: Path) -> None:
    result = mutate(policies, "--threshold", "100")
    assert result.exit_code == 0, result.output
    assert "mutation score 100.0 %: 7 of 7 mutants killed" in result.output


def test_a_survivor_is_shown_with_its_line_and_what_would_kill_it(policies: Path) -> None:
    weaken(policies)
    result = mutate(policies, "--threshold", "80")
    assert result.exit_code == 1
    rules = policies / "shop/rules.rego"
    assert (
        f"{rules}:6: condition dropped in data.shop.open\n"
        "  @@ -5,3 +5,2 @@\n"
        "   open if {\n"
        "  -\tinput.hour >= 9\n"
        "   \tnot input.holiday\n"
        "  mutation: without `input.hour >= 9`\n"
        "  survives: shop_test.test_open, shop_test.test_holiday\n"
        "  kill it with a test where only this condition does not hold"
    ) in result.output
    assert "less than the 80 % that are asked for" in result.output


def test_without_a_threshold_survivors_are_no_failure(policies: Path) -> None:
    weaken(policies)
    assert mutate(policies).exit_code == 0


def test_json_has_the_matrix_of_kills(policies: Path) -> None:
    result = mutate(policies, "--matrix", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (document["ok"], document["score"], document["killed"]) == (True, 100, 7)
    deleted = document["mutants"][0]
    assert deleted["mutation"].startswith("never `open if {")
    assert deleted["killed_by"] == ["data.shop_test.test_open"]
    assert document["redundant_tests"] == []
    assert document["kills"] == sum(len(item["killed_by"]) for item in document["mutants"])


@pytest.mark.parametrize("option", ["--matrix", "--redundant"])
def test_tests_that_are_not_needed_are_named(policies: Path, option: str) -> None:
    with (policies / "shop/rules_test.rego").open("a") as tests:
        tests.write('\ntest_twice if shop.open with input as {"hour": 9}\n')
    output = mutate(policies, option).output
    assert "2 of 4 tests: without any one of them the score would be the same\n" in output
    assert "  data.shop_test.test_twice\n" in output
    document = json.loads(mutate(policies, option, "--json").stdout)
    assert document["redundant_tests"] == ["data.shop_test.test_open", "data.shop_test.test_twice"]


def test_which_tests_are_not_needed_is_said_only_where_it_is_known(policies: Path) -> None:
    assert json.loads(mutate(policies, "--json").stdout)["redundant_tests"] is None


def test_the_list_runs_nothing(policies: Path) -> None:
    (policies / "shop/rules_test.rego").write_text("package shop_test\n\ntest_not if false\n")
    result = mutate(policies, "--list", "-r", "open")
    assert result.exit_code == 0
    assert f"{policies / 'shop/rules.rego'}:7: negation dropped: " in result.output
    assert result.output.endswith("7 mutants\n")
    assert len(json.loads(mutate(policies, "--list", "--json").stdout)) == 7


def test_tests_that_fail_without_any_fault_end_it(policies: Path) -> None:
    tests = policies / "shop/rules_test.rego"
    tests.write_text(tests.read_text().replace('"hour": 8', '"hour": 10'))
    result = mutate(policies)
    assert result.exit_code == 2
    assert "tests fail without any mutation" in result.output
    assert f"{tests}:9:1: error: data.shop_test.test_before" in result.output


def test_an_entry_that_holds_no_more_is_a_finding(policies: Path) -> None:
    (policies / "equivalents.yaml").write_text(
        "equivalents:\n  - file: shop/rules.rego\n    rule: data.shop.open\n"
        "    mutation: without `input.hour >= 10`\n    reason: Nobody comes before ten.\n"
    )
    result = mutate(policies)
    assert result.exit_code == 1
    assert "equivalents.yaml:2:1: error: there is no mutant" in result.output


@pytest.mark.parametrize("args", [["--threshold", "101"], ["-r", "("], ["-r", "nothing"]])
def test_wrong_usage(policies: Path, args: list[str]) -> None:
    assert mutate(policies, *args).exit_code == 2


def test_no_colour_where_none_is_wanted(policies: Path) -> None:
    assert "\x1b" not in mutate(policies).output
