"""`policy check`: what it writes, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from scopebound_engine.cli import findings
from scopebound_engine.cli.policy import policy
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import Finding
from tests.author.frames import declared, written
from tests.servers import environment

BROKEN = """package shop.deny

import data.shop

idle if {
	is_opne(input.tool_name)
	input.tool == "日本"
}
"""
IDLE = {"shop/deny/idle.rego": "package shop.deny\n\nimport data.shop\n"}


def run(*arguments: str, **options: bool) -> Result:
    return CliRunner().invoke(policy, ["check", *arguments, "--acknowledge-floor"], **options)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return written(tmp_path, {"shop/deny/broken.rego": BROKEN})


def test_the_shipped_policies_end_with_0_and_one_line() -> None:
    result = CliRunner().invoke(policy, ["check", str(SHIPPED / "policies")])
    assert result.exit_code == 0
    assert result.stdout.startswith("nothing found in ")
    assert result.stdout.count("\n") == 1


def test_findings_show_place_line_caret_and_remedy_and_end_with_1(broken: Path) -> None:
    result = run(str(broken))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    start = lines.index(f"{broken}/shop/deny/broken.rego:6:2: error: there is no function is_opne")
    assert lines[start + 1 : start + 4] == [
        "  6 | \tis_opne(input.tool_name)",
        "    | \t^",
        "    = check the name, its package and its import",
    ]


class Texts:
    """A file of which some lines are known."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts

    def path(self, name: str) -> str:
        return f"policies/{name}"

    def line(self, _name: str, number: int) -> str | None:
        return self._texts[number - 1] if 0 < number <= len(self._texts) else None


@pytest.mark.parametrize(
    ("line", "column", "shown", "caret"),
    [
        ("x := 1", 6, "x := 1", "     ^"),
        ("\tx :=\t1", 7, "\tx :=\t1", "\t    \t^"),
        ('"日本" + x', 8, '"日本" + x', "         ^"),
        ("e\u0301 := x", 7, "e\u0301 := x", "     ^"),
        ("a\x1b[2Jb", 6, "a\\x1b[2Jb", "        ^"),
        ("x := 1", 7, "x := 1", "      ^"),
    ],
)
def test_carets_stand_below_what_they_point_at(
    line: str, column: int, shown: str, caret: str
) -> None:
    item = Finding("parse", "odd", "a.rego", 1, column)
    assert [click.unstyle(text) for text in findings.lines(item, Texts(line))] == [
        f"policies/a.rego:1:{column}: error: odd",
        f"  1 | {shown}",
        f"    | {caret}",
    ]


def test_of_a_long_line_only_a_part_is_shown() -> None:
    item = Finding("parse", "odd", "a.rego", 1, 5_001, level="warning")
    _, line, caret = findings.lines(item, Texts("a" * 5_000 + "b" + "a" * 5_000))
    assert len(click.unstyle(line)) < 200
    assert click.unstyle(line)[click.unstyle(caret).index("^")] == "b"


def test_a_finding_without_a_line_or_file_is_shown_by_itself() -> None:
    assert [click.unstyle(text) for text in findings.lines(Finding("x", "odd"), Texts())] == [
        "error: odd"
    ]
    item = Finding("x", "odd", "a.rego", 9, 0, "write it")
    assert [click.unstyle(text) for text in findings.lines(item, Texts())] == [
        "policies/a.rego:9:0: error: odd",
        "    = write it",
    ]


def test_what_was_not_checked_is_said(broken: Path) -> None:
    *_, left_out, total = run(str(broken)).stdout.splitlines()
    assert left_out.startswith("not checked: verdicts on typical and hostile calls")
    assert total.startswith("2 errors, 2 warnings in 3 files, ")


def test_warnings_count_only_where_they_are_asked_to(tmp_path: Path) -> None:
    place = written(tmp_path, IDLE)
    assert run(str(place)).exit_code == 0
    assert "shop is imported and not used" in run(str(place)).stdout
    assert run(str(place), "--strict").exit_code == 1


def test_json_says_the_same_with_the_files_of_a_bundle(broken: Path) -> None:
    result = run(str(broken), "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["ok"], told["files"], len(told["not_checked"])) == (False, 3, 1)
    assert {
        "step": "plan",
        "level": "error",
        "message": "there is no function is_opne",
        "file": "shop/deny/broken.rego",
        "line": 6,
        "column": 2,
        "remedy": "check the name, its package and its import",
    } in told["findings"]


def test_a_folder_without_rules_ends_with_2(tmp_path: Path) -> None:
    result = run(str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "holds no .rego file" in result.stderr
    assert run(str(tmp_path / "nowhere")).exit_code == 2


def test_what_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    place = written(tmp_path, {"README.md": "x"})
    (place / "shop/latin.rego").write_bytes(b"package shop\n\n# caf\xe9\n")
    lines = run(str(place)).stdout.splitlines()
    assert f"{place}/shop/latin.rego:3:6: error: not UTF-8" in lines
    assert any("README.md: error: not a name of a bundle's file" in line for line in lines)


def test_another_manifest_can_be_named(tmp_path: Path) -> None:
    place = written(tmp_path / "policies", {})
    (tmp_path / "other.json").write_text(declared([("NEVER", "low")]))
    result = run(str(place), "--manifest", str(tmp_path / "other.json"))
    assert result.exit_code == 1
    assert f"{tmp_path}/other.json: error: NEVER is declared, and no rule" in result.stdout


def test_colours_are_for_terminals_and_for_who_wants_them(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[" not in run(str(broken)).stdout
    assert "\x1b[31m" in run(str(broken), color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run(str(broken), color=True).stdout


def test_what_a_terminal_would_act_on_is_spelled_out(tmp_path: Path) -> None:
    escape = {"shop/deny/x.rego": 'package shop.deny\n\nx := input.tool == "\x1b[2J"\n'}
    assert "\x1b" not in run(str(written(tmp_path, escape))).stdout


def test_a_reader_that_leaves_early_is_no_failure_of_the_policies(broken: Path) -> None:
    command = f"{sys.executable} -m scopebound_engine policy check {broken} | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env=environment(broken / "data"),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
