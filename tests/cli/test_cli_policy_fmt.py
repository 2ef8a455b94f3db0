import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scopebound_engine.cli.policy import policy

UNTIDY = "package shop\nopen if {input.hour<18}\n"
TIDY = "package shop\n\nopen if input.hour < 18\n"


def run(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner().invoke(policy, ["fmt", *map(str, arguments)], input=stdin)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tidy.rego").write_text(TIDY)
    (tmp_path / "untidy.rego").write_text(UNTIDY)
    return tmp_path


def test_files_are_written_and_named(folder: Path) -> None:
    result = run(folder)
    assert (result.exit_code, result.stdout) == (
        0,
        f"formatted  {folder}/untidy.rego\n1 in style, 1 formatted\n",
    )
    assert (folder / "untidy.rego").read_text() == TIDY
    assert run("--check", folder).stdout == "2 in style, 0 would change\n"


def test_check_writes_nothing_and_ends_with_1(folder: Path) -> None:
    result = run("--check", folder)
    assert (result.exit_code, result.stdout) == (
        1,
        f"would change  {folder}/untidy.rego\n1 in style, 1 would change\n",
    )
    assert (folder / "untidy.rego").read_text() == UNTIDY


def test_diff_shows_what_would_change(folder: Path) -> None:
    result = run("--diff", folder)
    assert result.exit_code == 1
    assert "-open if {input.hour<18}\n+\n+open if input.hour < 18\n" in result.stdout
    assert (folder / "untidy.rego").read_text() == UNTIDY


def test_what_does_not_parse_is_a_finding_and_the_rest_is_written(folder: Path) -> None:
    (folder / "broken.rego").write_text("package shop\n\nopen if {\n")
    result = run(folder)
    assert result.exit_code == 1
    assert f"{folder}/broken.rego:3:" in result.stderr
    assert "  3 | open if {" in result.stderr
    assert result.stdout.endswith("1 in style, 1 formatted, 1 not parsed\n")
    assert (folder / "untidy.rego").read_text() == TIDY


def test_a_defect_leaves_the_file_and_ends_with_2(folder: Path) -> None:
    (folder / "mistaken.rego").write_text("package a\n\nx := set( )\n")
    result = run(folder)
    assert result.exit_code == 2
    told = "not formatted, your file is untouched: it would be another program"
    assert result.stderr.startswith(f"{folder}/mistaken.rego: {told}")
    assert (folder / "mistaken.rego").read_text() == "package a\n\nx := set( )\n"


def test_standard_input_goes_to_standard_output() -> None:
    assert (run("-", stdin=UNTIDY).stdout, run("-", stdin=UNTIDY).exit_code) == (TIDY, 0)
    assert (
        run("--check", "-", stdin=UNTIDY).stdout,
        run("--check", "-", stdin=UNTIDY).exit_code,
    ) == ("", 1)
    broken = run("-", stdin="package shop\n\nopen if {\n")
    assert (broken.exit_code, broken.stdout) == (1, "")
    assert "<stdin>:3:" in broken.stderr
    assert run("-", "x.rego").exit_code == 2


def test_json_names_every_file(folder: Path) -> None:
    result = run("--check", "--json", folder)
    states = {Path(file["file"]).name: file["state"] for file in json.loads(result.stdout)}
    assert (result.exit_code, states) == (1, {"tidy.rego": "clean", "untidy.rego": "changed"})


def test_a_folder_without_rego_is_wrong_usage(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert (result.exit_code, "holds no .rego file" in result.stderr) == (2, True)
