import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scopebound_engine.cli.policy import policy

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    shutil.copy(ROOT / "manifest.json", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(policy, ["new", *arguments])


def test_it_says_what_was_made_and_what_comes_next(checkout: Path) -> None:
    result = run("deny", "NIGHT_TRANSFER", "--severity", "medium")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:4] == [
        "made     policies/scopebound/deny/night_transfer.rego",
        "made     policies/scopebound/deny/night_transfer_test.rego",
        "made     policies/scopebound/deny/night_transfer_cases.yaml",
        "changed  manifest.json: NIGHT_TRANSFER, severity medium",
    ]
    assert "  scopebound-engine policy test policies -r night_transfer" in result.stdout


def test_json_names_the_files(checkout: Path) -> None:
    made = json.loads(run("deny", "NIGHT_TRANSFER", "--json").stdout)
    assert (made["code"], made["severity"]) == ("NIGHT_TRANSFER", "high")
    assert Path(made["rule"]).is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["night"], "cannot be a deny code"),
        (["SCOPE_VIOLATION"], "declared in the manifest already"),
        (["NIGHT_TRANSFER", "--severity", "extreme"], "Invalid value for '--severity'"),
        (["NIGHT_TRANSFER", "--dir", "nowhere"], "does not exist"),
    ],
)
def test_what_cannot_be_made_ends_with_2(
    checkout: Path, arguments: list[str], sentence: str
) -> None:
    result = run("deny", *arguments)
    assert (result.exit_code, sentence in result.stderr) == (2, True)
