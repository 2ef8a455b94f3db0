"""A new deny code: what is written is in order at once, and nothing else is touched."""

import json
import os
import shutil
from pathlib import Path

import pytest

from scopebound_engine.author import folder
from scopebound_engine.author.checking.check import check
from scopebound_engine.author.formatting import files as fmt
from scopebound_engine.author.making import new
from scopebound_engine.author.tests import run
from scopebound_engine.errors import ConfigError, ConflictError, ManifestError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    shutil.copy(ROOT / "manifest.json", tmp_path)
    return tmp_path / "policies"


def small(place: Path, **files: str) -> Path:
    """A folder of another layout, with its manifest inside."""
    (place / "shop").mkdir()
    codes = [{"code": "ABC", "severity": "low", "description": "a"}]
    manifest = {"name": "s", "version": "1.0.0", "entrypoint": "shop/decision", "deny_codes": codes}
    (place / "manifest.json").write_text(json.dumps(manifest))
    for name, text in files.items():
        (place / f"shop/{name}.rego").write_text(text)
    return place


RULES = 'package shop.rules\n\nviolation contains {"code": "ABC"} if input.abc\n'


def test_what_is_new_passes_check_test_and_fmt(policies: Path) -> None:
    made = new.deny(policies, "NIGHT_TRANSFER", "medium")
    assert [path.name for path in (made.rule, made.tests, made.cases)] == [
        "night_transfer.rego",
        "night_transfer_test.rego",
        "night_transfer_cases.yaml",
    ]
    assert {path.parent for path in (made.rule, made.tests)} == {policies / "scopebound/deny"}
    sources = folder.read(policies)
    assert check(sources).errors == ()
    report = run(sources, "night_transfer")
    assert [result.outcome for result in report.results] == ["passed"] * 8
    found = fmt.format_files([made.rule, made.tests])
    assert [file.state for file in found] == ["clean", "clean"]


def test_nothing_else_changes_but_the_manifest(policies: Path) -> None:
    before = {path: path.read_bytes() for path in policies.rglob("*") if path.is_file()}
    manifest = json.loads((policies.parent / "manifest.json").read_text())
    made = new.deny(policies, "NIGHT_TRANSFER", "medium")
    after = {path: path.read_bytes() for path in policies.rglob("*") if path.is_file()}
    assert after.keys() - before.keys() == {made.rule, made.tests, made.cases}
    assert {path: after[path] for path in before} == before
    entry = json.loads(made.manifest.read_text())["deny_codes"].pop()
    assert (entry["code"], entry["severity"]) == ("NIGHT_TRANSFER", "medium")
    assert json.loads(made.manifest.read_text())["deny_codes"][:-1] == manifest["deny_codes"]


def test_other_folders_are_followed(tmp_path: Path) -> None:
    made = new.deny(small(tmp_path, rules=RULES), "NIGHT_TRANSFER", "low")
    assert made.rule == tmp_path / "shop/night_transfer.rego"
    assert "\npackage shop.rules\n" in made.rule.read_text()
    sources = folder.read(tmp_path)
    report = run(sources, "_test.test_")
    assert [result.outcome for result in report.results] == ["passed"] * 5


@pytest.mark.parametrize("code", ["night", "AB", "A" * 65, "1AB", "A-BC", "POLICY_ERROR", "A\nBC"])
def test_unfit_codes_are_refused(policies: Path, code: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a deny code"):
        new.deny(policies, code, "low")


def test_what_is_there_is_not_overwritten(policies: Path) -> None:
    with pytest.raises(ConflictError, match="declared in the manifest already"):
        new.deny(policies, "SCOPE_VIOLATION", "medium")
    tests = policies / "scopebound/deny/night_transfer_test.rego"
    tests.write_text("package scopebound.deny.other_test\n")
    with pytest.raises(ConflictError, match="not overwritten"):
        new.deny(policies, "NIGHT_TRANSFER", "low")
    assert tests.read_text() == "package scopebound.deny.other_test\n"
    assert not (policies / "scopebound/deny/night_transfer.rego").exists()


def test_names_of_other_rules_of_the_package_are_refused(policies: Path) -> None:
    with pytest.raises(ConflictError, match="a rule named scope_reason already"):
        new.deny(policies, "SCOPE", "low")


def test_a_folder_without_deny_rule_or_manifest_says_so(tmp_path: Path) -> None:
    place = small(tmp_path, rules="package shop\n\nx := 1\n")
    with pytest.raises(ConfigError, match="write the first one by hand"):
        new.deny(place, "NIGHT_TRANSFER", "low")
    (place / "manifest.json").unlink()
    with pytest.raises(ManifestError):
        new.deny(place, "NIGHT_TRANSFER", "low")


def test_all_or_nothing_is_written(policies: Path) -> None:
    # The file that the manifest is written to first cannot be made here.
    manifest = policies.parent / "elsewhere/manifest.json"
    manifest.parent.mkdir()
    shutil.copy(ROOT / "manifest.json", manifest)
    names = [path.name for path in policies.rglob("*")]
    _block(manifest)
    with pytest.raises(ConfigError, match="cannot be written"):
        new.deny(policies, "NIGHT_TRANSFER", "low", manifest)
    assert [path.name for path in policies.rglob("*")] == names


def _block(file: Path) -> None:
    """A folder where the part file would be: not even the superuser writes there."""
    (file.parent / f".{file.name}.{os.getpid()}.part").mkdir()
