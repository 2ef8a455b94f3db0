"""`bundle diff` compares whatever holds a bundle, and shows it so that it can be read."""

import json
from pathlib import Path

import pytest

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build
from tests.cli.answering import Answering
from tests.cli.bundle_commands import active, done, failed, refused, run
from tests.servers import RunningServer

RULE = """package scopebound

limit := 1

test_text := "\x9b2J"
"""


@pytest.fixture
def both(work: Path) -> tuple[str, str]:
    """An archive, and the folder it was built from with a few changes."""
    (work / "policies/scopebound/main.rego").write_text(RULE)
    (work / "policies/scopebound/main_test.rego").write_text("package t\ntest_a if true\n")
    done("build", "policies", "--key", "keys/bundle.key", "--out", "old.tgz")
    (work / "policies/scopebound/main.rego").write_text(RULE.replace("1", "2").replace("J", "K"))
    (work / "policies/scopebound/main_test.rego").write_text("package t\ntest_b if true\n")
    (work / "policies/scopebound/config/data.json").write_text('{"alpha": 0.01}')
    manifest = json.loads((work / "manifest.json").read_text())
    manifest["deny_codes"].append({"code": "NEW_CODE", "severity": "low", "description": "x"})
    (work / "manifest.json").write_text(json.dumps(manifest))
    return "old.tgz", "policies"


def test_changes_are_shown_by_rule_code_and_value(both: tuple[str, str]) -> None:
    result = run("diff", *both)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "rules",
        "  ~ scopebound.limit  scopebound/main.rego:3",
        "      -limit := 1",
        "      +limit := 2",
        "  ~ scopebound.test_text  scopebound/main.rego:5",
        '      -test_text := "\\x9b2J"',
        '      +test_text := "\\x9b2K"',
        "tests",
        "  - t.test_a  scopebound/main_test.rego:2",
        "  + t.test_b  scopebound/main_test.rego:2",
        "deny codes",
        '  + /NEW_CODE: {"severity": "low", "description": "x"}',
        "data",
        "  ~ /scopebound/config/alpha: 0.001 -> 0.01",
    ]
    assert json.loads(done("diff", *both, "--json"))["rules"][0]["name"] == "limit"


def test_the_exit_code_tells_a_difference_where_it_is_asked_for(both: tuple[str, str]) -> None:
    assert run("diff", *both, "--exit-code").exit_code == 1
    old, _ = both
    same = run("diff", old, old, "--exit-code")
    assert same.exit_code == 0
    assert same.stdout == "no difference but for comments, layout and order\n"


def test_what_is_no_bundle_is_refused(both: tuple[str, str], work: Path) -> None:
    old, _ = both
    (work / "zip").write_bytes(b"zip")
    assert "the archive is not a bundle" in refused("diff", old, "zip")
    assert "no file or folder, and no id" in failed("diff", old, "nowhere")


def test_a_version_on_a_server_is_compared_with_what_is_here(
    server: RunningServer, work: Path
) -> None:
    shipped = Path(__file__).parents[2]
    (work / "shipped.tgz").write_bytes(
        archive.write(build(shipped / "policies", shipped / "manifest.json"))
    )
    assert "no difference" in done("diff", "active", "shipped.tgz")
    assert "no difference" in done("diff", active(server)["id"], "active")
    assert "/version" in done("diff", "policies", "active")


def test_files_and_folders_need_no_server(both: tuple[str, str], answers: Answering) -> None:
    done("diff", *both)
    assert answers.asked == []
