import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
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
MANIFEST = {
    "name": "shop",
    "version": "1.0.0",
    "entrypoint": "scopebound/decision",
    "roots": ["scopebound"],
    "deny_codes": [{"code": "NO_NIGHTS", "severity": "low", "description": "at night"}],
}
DECISION = """package scopebound

decision := {"allow": count(violations) == 0, "violations": violations}

violations := [v | some v in violation]

violation contains {
	"code": "NO_NIGHTS",
	"severity": "low",
	"reason": sprintf("at %d it is night", [input.now.hour]),
	"retry_guidance": "wait",
	"retry_after_seconds": 60,
} if {
	input.now.hour < 6
}

violation contains {
	"code": "NO_NIGHTS",
	"severity": "low",
	"reason": "the hour is missing",
	"retry_guidance": "none",
} if {
	not input.now.hour
}
"""
CASES = """\
- name: at noon
  role: {allowed_tools: [buy]}
  call: {tool_name: buy}
  expect: allow
- name: at night
  role: {allowed_tools: [buy]}
  at: "2026-11-18T05:59:59Z"
  call: {tool_name: buy}
  expect: {deny: NO_NIGHTS, severity: low, retry_guidance: wait}
"""


def run(folder: Path, *arguments: str, color: bool = False) -> Result:
    return CliRunner().invoke(policy, ["test", str(folder), *arguments], color=color)


def written(folder: Path, **files: str) -> Path:
    (folder / "shop").mkdir()
    (folder / "shop/data.json").write_text('{"closing": 18}')
    (folder / "shop/shop.rego").write_text(RULES)
    for name, text in files.items():
        (folder / f"shop/{name}.rego").write_text(text)
    return folder


def with_cases(folder: Path, cases: str) -> Path:
    (folder / "scopebound").mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    (folder / "scopebound/main.rego").write_text(DECISION)
    (folder / "scopebound/night_cases.yaml").write_text(cases)
    return folder


def test_passing_tests_are_one_line_and_end_with_0(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS))
    assert result.exit_code == 0
    assert result.stdout.startswith("2 tests: 2 passed, 0 failed, in ")
    assert result.stdout.count("\n") == 1


def test_verbose_lists_each_test_and_the_slowest(tmp_path: Path) -> None:
    lines = run(written(tmp_path, shop_test=TESTS), "-v").stdout.splitlines()
    assert lines[0].startswith("passed  data.shop_test.test_open  ")
    assert lines[1].startswith("passed  data.shop_test.test_closed  ")
    assert lines[3] == "slowest"
    assert lines[4].endswith(" ms  data.shop_test.test_open") or "closed" in lines[4]


def test_a_failure_ends_with_1_and_shows_what_it_saw(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS, late_test=FAILING))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:-1] == [
        f"failed  data.shop_test.test_late  {tmp_path}/shop/late_test.rego:7",
        '        shop.open with input as {"hour": 20}',
        "          shop.open  undefined",
        '          input      {"hour": 20}',
        "",
    ]
    assert result.stdout.splitlines()[-1].startswith("4 tests: 2 passed, 1 failed, 1 skipped, in ")


def test_a_test_with_another_value_than_true_says_which(tmp_path: Path) -> None:
    result = run(written(tmp_path, five_test="package five\n\ntest_five := 5\n"))
    assert "        its value is 5" in result.stdout.splitlines()


def test_an_error_counts_as_a_failure(tmp_path: Path) -> None:
    text = "package e_test\ntest_e if f(1) == 1\nf(x) := 1 if x\nf(x) := 2 if x\n"
    result = run(written(tmp_path, e_test=text))
    assert result.exit_code == 1
    assert "error   data.e_test.test_e" in result.stdout
    assert "1 test: 0 passed, 0 failed, 1 could not be judged" in result.stdout


def test_a_regular_expression_chooses(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS, late_test=FAILING), "-r", "closed$")
    assert result.exit_code == 0
    assert result.stdout.startswith("1 test: 1 passed, 0 failed, in ")


def test_json_holds_every_result(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS, late_test=FAILING), "--json")
    document = json.loads(result.stdout)
    assert {item["name"]: item["outcome"] for item in document["tests"]} == {
        "data.shop_test.test_open": "passed",
        "data.shop_test.test_closed": "passed",
        "data.shop_test.test_late": "failed",
        "data.shop_test.todo_test_sunday": "skipped",
    }
    assert document["counts"] == {"passed": 2, "failed": 1, "error": 0, "skipped": 1}
    (failed,) = [item for item in document["tests"] if item["outcome"] == "failed"]
    assert failed["seen"][0] == {"text": "shop.open", "value": "undefined"}
    assert (document["ok"], result.exit_code) == (False, 1)


def test_colors_are_for_terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path, late_test=FAILING)
    assert "\x1b[" in run(folder, color=True).stdout
    assert "\x1b[" not in run(folder).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run(folder, color=True).stdout


def test_the_report_for_continuous_integration_is_written_beside_the_output(tmp_path: Path) -> None:
    report = tmp_path / "out/report.xml"
    result = run(written(tmp_path, shop_test=TESTS, late_test=FAILING), "--junit", str(report))
    assert result.exit_code == 1
    assert "data.shop_test.test_late" in result.stdout
    root = ElementTree.parse(report).getroot()
    assert [suite.get("name") for suite in root] == ["shop/late_test.rego", "shop/shop_test.rego"]
    (failure,) = root.iter("failure")
    assert failure.get("message") == 'shop.open with input as {"hour": 20}'


def test_a_report_that_cannot_be_written_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = written(tmp_path, shop_test=TESTS)
    result = run(folder, "--junit", str(tmp_path / "file/report.xml"))
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_no_tests_end_with_2(tmp_path: Path) -> None:
    result = run(written(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"scopebound-engine: no tests in {tmp_path}.\n"
    assert run(tmp_path, "-r", "x").stderr == (
        f"scopebound-engine: no tests in {tmp_path} match x.\n"
    )


def test_a_bad_expression_ends_with_2(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test=TESTS), "-r", "(")
    assert result.exit_code == 2
    assert "not a regular expression" in result.stderr


def test_a_folder_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    assert run(tmp_path / "nothing").exit_code == 2


def test_a_parse_error_ends_with_2_and_a_caret_below_it(tmp_path: Path) -> None:
    result = run(written(tmp_path, shop_test="package t\ntest_x if {\n\ty := := 1\n}\n"))
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0] == "scopebound-engine: the policy does not compile"
    assert lines[1].startswith(f"{tmp_path}/shop/shop_test.rego:3:4: error: ")
    assert lines[2:4] == ["  3 | \ty := := 1", "    | \t  ^"]


def test_data_that_does_not_fit_together_ends_with_2(tmp_path: Path) -> None:
    folder = written(tmp_path, shop_test=TESTS)
    (folder / "data.json").write_text('{"shop": 1}')
    result = run(folder)
    assert result.exit_code == 2
    assert "data.shop" in result.stderr


def test_cases_are_decided_and_counted(tmp_path: Path) -> None:
    result = run(with_cases(tmp_path, CASES))
    assert result.exit_code == 0
    assert result.stdout.startswith("2 cases: 2 passed, 0 failed, in ")


def test_cases_are_chosen_by_file_and_name(tmp_path: Path) -> None:
    result = run(with_cases(tmp_path, CASES), "-v", "-r", "night_cases.yaml: at night$")
    assert result.stdout.startswith("passed  scopebound/night_cases.yaml: at night  ")
    assert "1 case: 1 passed" in result.stdout


def test_a_case_that_fails_shows_what_the_policy_said_and_where(tmp_path: Path) -> None:
    folder = with_cases(
        tmp_path,
        CASES.replace("05:59:59", "03:00:00").replace(
            "deny: NO_NIGHTS, severity: low, retry_guidance: wait",
            "deny: NO_NIGHTS, severity: high",
        ),
    )
    result = run(folder)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:4] == [
        f"failed  at night  {tmp_path}/scopebound/night_cases.yaml:5",
        "        expected severity high, got low",
        "          NO_NIGHTS  at 3 it is night (low, wait) at scopebound/main.rego:7, "
        "scopebound/main.rego:17",
        "",
    ]


def test_a_mistake_in_a_case_file_ends_with_2_and_names_its_line(tmp_path: Path) -> None:
    result = run(with_cases(tmp_path, CASES + "  expected: allow\n"))
    assert result.exit_code == 2
    assert f"{tmp_path}/scopebound/night_cases.yaml:10:1: error: " in result.stderr
    assert "expected" in result.stderr


def test_cases_without_a_manifest_end_with_2(tmp_path: Path) -> None:
    folder = with_cases(tmp_path / "deep/folder", CASES)
    (folder / "manifest.json").unlink()
    result = run(folder)
    assert result.exit_code == 2
    assert "manifest.json" in result.stderr
