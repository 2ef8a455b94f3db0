import json
from pathlib import Path

from click.testing import CliRunner, Result

from scopebound_engine.cli.policy import policy

RULES = "package shop\n\nopen if input.hour < data.shop.closing\n"
TESTS = """package shop_test

import data.shop

test_open if shop.open with input as {"hour": 9}

test_closed if {
	true
	not shop.open with input as {"hour": 20}
}
"""
FAILING = """package shop_test

import data.shop

test_late if {
	shop.open with input as {"hour": 9}
	shop.open with input as {"hour": 20}
}

todo_test_sunday if false
"""


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(policy, ["test", str(folder), *arguments])


def written(folder: Path, **files: str) -> Path:
    (folder / "shop").mkdir()
    (folder / "shop/data.json").write_text('{"closing": 18}')
    (folder / "shop/shop.rego").write_text(RULES)
    for name, text in files.items():
        (folder / f"shop/{name}.rego").write_text(text)
    return folder


def test_passing_tests_are_one_line_and_end_with_0(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS))
    assert (result.exit_code, result.stdout) == (0, "2 passed, 0 failed\n")


def test_verbose_lists_each_test(tmp_path: Path) -> None:
    lines = run(written(tmp_path, shop_test=TESTS), "-v").stdout.splitlines()
    assert lines[0].startswith("passed  data.shop_test.test_open  ")
    assert lines[1].startswith("passed  data.shop_test.test_closed  ")


def test_a_failure_ends_with_1_and_names_place_and_expression(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS, late_test=FAILING))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "failed  shop/late_test.rego:7: data.shop_test.test_late",
        '        shop.open with input as {"hour": 20}',
        "2 passed, 1 failed, 1 skipped",
    ]


def test_an_error_counts_as_a_failure(tmp_path: Path) -> None:
    text = "package e_test\ntest_e if f(1) == 1\nf(x) := 1 if x\nf(x) := 2 if x\n"
    result = run(written(tmp_path, e_test=text))
    assert result.exit_code == 1
    assert "error   shop/e_test.rego:2: data.e_test.test_e" in result.stdout
    assert "0 passed, 0 failed, 1 could not be judged" in result.stdout


def test_a_regular_expression_chooses(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS, late_test=FAILING), "-r", "closed$")
    assert (result.exit_code, result.stdout) == (0, "1 passed, 0 failed\n")


def test_json_holds_every_result(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS, late_test=FAILING), "--json")
    found = {item["name"]: item["outcome"] for item in json.loads(result.stdout)}
    assert found == {
        "data.shop_test.test_open": "passed",
        "data.shop_test.test_closed": "passed",
        "data.shop_test.test_late": "failed",
        "data.shop_test.todo_test_sunday": "skipped",
    }
    assert result.exit_code == 1


def test_no_tests_end_with_2(tmp_path: Path) -> None:
    result = run(written(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: no tests in {tmp_path}\n"
    assert run(tmp_path, "-r", "x").stderr == f"error: no tests in {tmp_path} match x\n"


def test_a_bad_expression_ends_with_2(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS), "-r", "(")
    assert result.exit_code == 2
    assert "not a regular expression" in result.stderr


def test_a_folder_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    assert run(tmp_path / "nothing").exit_code == 2


def test_a_parse_error_ends_with_2_and_a_caret_below_it(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test="package t\ntest_x if {\n\ty := := 1\n}\n"))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[:4] == [
        "error: the policy does not compile",
        "shop/shop_test.rego:3:4: Invalid assignment operator",
        "    \ty := := 1",
        "    \t  ^",
    ]


def test_data_that_does_not_fit_together_ends_with_2(tmp_path: Path) -> None:
    folder = written(tmp_path, shop_test=TESTS)
    (folder / "data.json").write_text('{"shop": 1}')
    result = run(folder)
    assert result.exit_code == 2
    assert "data.shop" in result.stderr
