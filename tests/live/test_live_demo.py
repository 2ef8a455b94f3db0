"""`demo` against a running server, as the README tells a new user to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import environment, serving

EXPECTED = {
    *("SCOPE_VIOLATION", "PARAMETER_VIOLATION", "ENV_VIOLATION", "DATA_LIMIT_EXCEEDED"),
    *("APPROVAL_REQUIRED", "TIME_VIOLATION", "MCP_SERVER_UNAUTHORIZED", "RATE_LIMIT_EXCEEDED"),
    *("JWT_INVALID", "REQUEST_INVALID", "DELEGATION_DEPTH_EXCEEDED", "SESSION_EXPIRED"),
}


def demo(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scopebound_engine", "demo", "--no-wait"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("times", [2])
def test_the_demo_shows_an_allow_and_every_denial_and_can_be_run_again(
    tmp_path: Path, times: int
) -> None:
    with serving(tmp_path / "data") as server:
        port = int(server.url.rpartition(":")[2])
        for _ in range(times):
            result = demo(environment(tmp_path / "data", port=port))
            assert result.returncode == 0, result.stderr
            assert " allow " in result.stdout
            assert "replayed" in result.stdout
            assert {code for code in EXPECTED if code in result.stdout} == EXPECTED


def test_without_a_server_the_demo_is_one_sentence(tmp_path: Path) -> None:
    result = demo(environment(tmp_path / "data", port=1))
    assert result.returncode == 1
    assert "make run" in result.stderr
    assert "Traceback" not in result.stderr
