"""Folders to run commands in."""

import json
from pathlib import Path

import pytest

from tests.cli.bundle_commands import MANIFEST, done


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with small policies that no gate would pass, and keys."""
    (tmp_path / "policies/scopebound/config").mkdir(parents=True)
    (tmp_path / "policies/scopebound/main.rego").write_text("package scopebound\n")
    (tmp_path / "policies/scopebound/config/data.json").write_text('{"alpha": 0.001}')
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    monkeypatch.chdir(tmp_path)
    done("keygen", "--out", "keys")
    return tmp_path
