"""The README's page on the life of a version: its edits apply, its commands say what it shows."""

import shutil
from pathlib import Path

from tests.readme import ROOT, Shell, blocks, tried
from tests.servers import serving

TITLE = "## From an edited line to a rolled-back version"


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    shutil.copy(ROOT / "manifest.json", tmp_path)
    data_dir = tmp_path / ".scopebound"
    with (
        serving(data_dir, first_start=True, bootstrap_api_key="") as server,
        Shell(tmp_path, server) as shell,
    ):
        for said, expected in tried(TITLE, shell):
            assert said == expected


def test_there_is_something_to_try() -> None:
    assert [language for language, _ in blocks(TITLE)].count("console") >= 3
