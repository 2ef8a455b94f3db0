"""Folders to run commands in, and a server that some of them talk to."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.answering import Answering, answering
from tests.cli.bundle_commands import MANIFEST, done
from tests.servers import API_KEY, RunningServer, serving


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


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server, for the tests of one module."""
    with serving(tmp_path_factory.mktemp("server") / "data", workers=1) as server:
        yield server


@pytest.fixture
def server(running: RunningServer, monkeypatch: pytest.MonkeyPatch) -> RunningServer:
    """The server, which commands find in the environment."""
    monkeypatch.setenv("SCOPEBOUND_BASE_URL", running.url)
    monkeypatch.setenv("SCOPEBOUND_API_KEY", API_KEY)
    return running


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """A server that answers what the test says, found in the environment."""
    with answering() as made:
        monkeypatch.setenv("SCOPEBOUND_BASE_URL", made.url)
        monkeypatch.setenv("SCOPEBOUND_API_KEY", API_KEY)
        yield made
