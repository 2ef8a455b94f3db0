import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scopebound_engine.cli.policy import policy

RULES = """package shop

open if {
	input.hour >= 9
	input.hour < 18
}

closed if not open

sunday if input.day == 7
"""
TESTS = """package shop_test

import data.shop

test_open if shop.open with input as {"hour": 9}

test_closed if shop.closed with input as {"hour": 20}
"""


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a folder `shop` of policies."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/rules.rego").write_text(RULES)
    (tmp_path / "shop/rules_test.rego").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shop"


def run(*arguments: str, color: bool = False) -> Result:
    return CliRunner().invoke(policy, ["cover", *arguments], color=color)


def test_it_tells_lines_and_expressions_file_by_file() -> None:
    result = run("shop")
    assert result.exit_code == 0, result.output
    *told, last = result.stdout.rstrip("\n").split("\n")
    assert told == [
        "shop/rules.rego   80.0 %  10",
        "all               80.0 %  of 5 lines",
        "",
        "never entered",
        "  shop/rules.rego:10: shop.sunday",
        "",
        "never false",
        "  shop/rules.rego:4: input.hour >= 9",
        "  shop/rules.rego:8: not open",
        "",
    ]
    assert last.startswith("2 of 2 tests passed, ")


def test_colours_are_for_terminals() -> None:
    assert "\x1b[" not in run("shop").output
    assert "\x1b[33m" in run("shop", color=True).output


@pytest.mark.parametrize(("threshold", "code"), [("80", 0), ("80.1", 1), ("0", 0), ("100", 1)])
def test_a_threshold_decides_how_it_ends(threshold: str, code: int) -> None:
    result = run("shop", "--threshold", threshold)
    assert result.exit_code == code
    assert ("less than the" in result.output) == bool(code)
    told = run("shop", "--threshold", threshold, "--json")
    assert told.exit_code == code
    assert json.loads(told.stdout)["ok"] is not bool(code)


def test_json_has_all_of_it() -> None:
    document = json.loads(run("shop", "--json").stdout)
    assert document.pop("seconds") > 0
    assert [test["outcome"] for test in document.pop("tests")] == ["passed", "passed"]
    assert document == {
        "ok": True,
        "percent": 80.0,
        "threshold": None,
        "lines": 5,
        "covered": 4,
        "files": [
            {
                "file": "rules.rego",
                "percent": 80.0,
                "lines": 5,
                "covered": 4,
                "uncovered": [[10, 10]],
                "never_entered": [{"line": 10, "column": 1, "rule": "shop.sunday"}],
                "never_true": [],
                "never_false": [
                    {"line": 4, "column": 2, "expression": "input.hour >= 9"},
                    {"line": 8, "column": 11, "expression": "not open"},
                ],
            }
        ],
    }


def test_a_test_that_does_not_pass_is_named_and_ends_it_with_1(shop: Path) -> None:
    (shop / "bad_test.rego").write_text("package bad_test\n\ntest_x if data.shop.sunday\n")
    result = run("shop")
    assert result.exit_code == 1
    assert "did not pass, as policy test explains\n" in result.stdout
    assert "  shop/bad_test.rego:3: data.bad_test.test_x: failed\n" in result.stdout
    assert "2 of 3 tests passed" in result.stdout


def test_a_page_is_written_whole_or_the_command_fails(shop: Path) -> None:
    assert run("shop", "--html", "cover.html").exit_code == 0
    assert "<h1>Coverage of shop: 80.0 %</h1>" in Path("cover.html").read_text()
    result = run("shop", "--html", "missing/cover.html")
    assert result.exit_code == 2
    assert "missing/cover.html cannot be written" in result.stderr
    os.mkfifo("pipe")
    for other in ("shop", "pipe"):
        assert f"{other} is no file" in run("shop", "--html", other).stderr


def test_what_cannot_be_done_is_told_with_2(shop: Path) -> None:
    assert "no tests in shop" in ended_with_2("shop", "-r", "nothing").stderr
    assert "regular expression" in ended_with_2("shop", "-r", "(").stderr
    assert "does not exist" in ended_with_2("nowhere").stderr
    ended_with_2("shop", "--threshold", "101")
    (shop / "rules.rego").write_text("package shop\n\nopen := := 1\n")
    told = ended_with_2("shop").stderr
    assert "shop/rules.rego:3:6" in told
    assert "  3 | open := := 1" in told
    document = json.loads(run("shop", "--json").stdout)
    assert document["findings"][0]["file"] == "rules.rego"


def ended_with_2(*arguments: str) -> Result:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return result


def test_long_lists_and_names_are_cut_on_a_terminal(shop: Path) -> None:
    rules = "".join(f"r{number} if input.{'x' * 120} == {number}\n\n" for number in range(50))
    (shop / "many.rego").write_text(f"package many\n\n{rules}")
    tests = "".join(f"test_{number} if not data.many.r{number}\n\n" for number in range(0, 50, 2))
    (shop / "many_test.rego").write_text(f"package many_test\n\n{tests}")
    result = run("shop")
    assert "5, 9, 13, 17, 21, 25, 29, 33 and 17 more" in result.stdout
    assert max(map(len, result.stdout.split("\n"))) < 160
    assert "and 1 more" not in result.stdout
    assert len(json.loads(run("shop", "--json").stdout)["files"][0]["never_true"]) == 25


def test_help_says_what_counts() -> None:
    told = run("--help").output
    assert "A line counts where" in told
    assert "--threshold N" in told
