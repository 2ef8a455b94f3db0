"""`trust` shows and changes whose bundles are believed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.cli.trust import trust
from scopebound_engine.errors import ConfigError, NotFoundError
from tests.recording import NODE
from tests.servers import environment

KEY = SigningKey.generate("es256")
PS256 = SigningKey.generate("ps256")

Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `trust` in a folder with two public keys; gives the lines, raises what it raises."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "release.pem").write_text(KEY.public_pem())
    (tmp_path / "next.ps256.pem").write_text(PS256.public_pem())
    (tmp_path / "data").mkdir()
    (tmp_path / "data/node-id").write_text(f"{NODE}\n")
    runner = CliRunner(env=environment(tmp_path / "data"))

    def run(*arguments: str) -> list[str]:
        return runner.invoke(trust, arguments, catch_exceptions=False).output.splitlines()

    return run


def test_a_key_is_added_listed_and_revoked(run: Run) -> None:
    assert run("add", "release.pem", "--not-after", "2099-01-01") == [
        f"{KEY.key_id}  release  ES256  until 2099-01-01T00:00:00Z  valid"
    ]
    run("add", "next.ps256.pem", "--name", "new", "--not-after", "2020-01-01T12:30:00Z")
    assert run("list") == [
        f"{PS256.key_id}  new  PS256  until 2020-01-01T12:30:00Z  expired",
        f"{KEY.key_id}  release  ES256  until 2099-01-01T00:00:00Z  valid",
    ]
    (revoked,) = run("revoke", "release", "--reason", "stolen")
    assert revoked.startswith(f"{KEY.key_id}  release  ES256  until 2099-01-01T00:00:00Z  revoked ")
    assert revoked.endswith("Z: stolen")
    assert run("list")[1] == revoked


def test_it_is_the_folder_of_the_server_unless_another_is_named(run: Run, tmp_path: Path) -> None:
    run("add", "release.pem")
    run("add", "next.ps256.pem", "--dir", "other")
    assert (tmp_path / "data/bundle-keys/trusted/release.pem").exists()
    assert (tmp_path / "other/next.pem").exists()
    assert len(run("list", "--dir", "other")) == 1


def test_the_list_can_be_json(run: Run, tmp_path: Path) -> None:
    run("add", "release.pem", "--dir", "keys")
    (tmp_path / "keys/release.toml").write_text(
        "not_before = 2020-01-01T00:00:00Z\nrevoked = true\nreason = 'stolen'\n"
    )
    (line,) = run("list", "--dir", "keys")
    assert line.endswith("  from 2020-01-01T00:00:00Z without end  revoked: stolen")
    assert json.loads("\n".join(run("list", "--dir", "keys", "--json"))) == [
        {
            "id": KEY.key_id,
            "name": "release",
            "algorithm": "ES256",
            "not_before": "2020-01-01T00:00:00Z",
            "not_after": None,
            "state": "revoked",
            "revoked_at": None,
            "reason": "stolen",
            "file": "keys/release.pem",
        }
    ]


def test_what_is_wrong_is_said(run: Run) -> None:
    with pytest.raises(ConfigError, match=r"\.empty cannot be read: No such file"):
        run("list", "--dir", ".empty")
    run("add", "release.pem")
    with pytest.raises(ConfigError, match="there already"):
        run("add", "release.pem", "--name", "twice")
    with pytest.raises(NotFoundError, match="there are: release"):
        run("revoke", "nobody", "--reason", "x")
    assert any("Missing option '--reason'" in line for line in run("revoke", "release"))
