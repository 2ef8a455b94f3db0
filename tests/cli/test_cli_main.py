"""The command line: help builds nothing, errors are one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import environment

COMMANDS = ["serve", "keys", "role", "log", "drift", "bundle", "trust", "policy", "demo"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scopebound_engine", *arguments],
        env=environment(folder / "data"),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("arguments", [[], *([command] for command in COMMANDS)])
def test_help_explains_and_builds_nothing(tmp_path: Path, arguments: list[str]) -> None:
    result = run(tmp_path, *arguments, "--help")
    assert result.returncode == 0
    assert "Usage:" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    result = run(tmp_path, "surf")
    assert result.returncode == 2
    assert "surf" in result.stderr


def test_keys_are_made_shown_once_listed_and_revoked(tmp_path: Path) -> None:
    made = run(tmp_path, "keys", "create", "invoices", "--role", "invoice-processor")
    secret = made.stdout.strip()
    assert secret.startswith("sb-")
    listed = run(tmp_path, "keys", "list").stdout
    assert "invoices" in listed
    assert "invoice-processor" in listed
    assert secret not in listed
    assert run(tmp_path, "keys", "revoke", "invoices").returncode == 0
    assert "revoked" in run(tmp_path, "keys", "list").stdout


def test_a_taken_name_and_an_unknown_key_are_one_sentence(tmp_path: Path) -> None:
    run(tmp_path, "keys", "create", "twin")
    for arguments in (["create", "twin"], ["revoke", "nobody"]):
        result = run(tmp_path, "keys", *arguments)
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert "Traceback" not in result.stderr
