import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build
from scopebound_engine.cli.policy import policy
from tests.author.frames import MAIN, written


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    """A folder, and one with another rule in it."""
    changed = MAIN.replace(
        "input.claims.allowed_tools\n", 'input.claims.allowed_tools\n\nmore := "x"\n'
    )
    old = written(tmp_path / "old", {})
    new = written(tmp_path / "new", {"shop/main.rego": changed})
    return str(old), str(new)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(policy, ["diff", *arguments])


def test_what_changes_is_shown_by_rule(both: tuple[str, str]) -> None:
    result = run(*both)
    assert result.exit_code == 0
    assert [line.split("  shop/")[0].strip() for line in result.stdout.splitlines()[:2]] == [
        "rules",
        "+ shop.more",
    ]


def test_the_same_policies_have_no_difference_whatever_holds_them(
    both: tuple[str, str], tmp_path: Path
) -> None:
    old = Path(both[0])
    packed = tmp_path / "old.tgz"
    packed.write_bytes(archive.write(build(old, old / "manifest.json")))
    result = run(str(packed), str(old), "--exit-code")
    assert (result.exit_code, result.stdout) == (
        0,
        "no difference but for comments, layout and order\n",
    )


def test_a_difference_ends_with_1_where_that_is_asked_for(both: tuple[str, str]) -> None:
    assert run(*both, "--exit-code").exit_code == 1


def test_json_is_that_of_bundle_diff(both: tuple[str, str]) -> None:
    assert json.loads(run(*both, "--json").stdout)["rules"][0]["change"] == "added"


def test_what_is_no_bundle_ends_with_2(both: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "x.tgz").write_text("no archive")
    for wrong in ("x.tgz", "nowhere"):
        assert run(both[0], str(tmp_path / wrong)).exit_code == 2
    (Path(both[1]) / "manifest.json").unlink()
    assert run(*both).exit_code == 2
