"""The README's tutorial for policy authors: its edits apply, its commands say what it shows."""

import shutil
from pathlib import Path

from tests.readme import ROOT, Shell, blocks, tried
from tests.servers import API_KEY, make_prepared, serving

TITLE = "### A new deny code in ten minutes"


def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    shutil.copy(ROOT / "manifest.json", tmp_path)
    data_dir = tmp_path / ".scopebound"
    make_prepared(data_dir)
    # Where a first start leaves the key that it makes.
    (data_dir / "api-key").write_text(API_KEY)
    with serving(data_dir) as server, Shell(tmp_path, server) as shell:
        for said, expected in tried(TITLE, shell):
            assert said == expected


def test_it_goes_from_new_to_an_upload() -> None:
    text = "".join(block for language, block in blocks(TITLE) if language == "console")
    for command in ("new deny", "test", "check", "fmt", "mutate", "backtest", "explain"):
        assert f"$ scopebound-engine policy {command} " in text
    assert "$ scopebound-engine bundle push " in text
