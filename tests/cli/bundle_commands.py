"""`bundle` commands for tests, run in the test's process."""

from typing import Any

from click.testing import CliRunner, Result

from scopebound_engine.cli.bundle import bundle
from tests.servers import RunningServer

MANIFEST = {
    "name": "sample",
    "version": "1.2.0",
    "entrypoint": "scopebound/decision",
    "deny_codes": [{"code": "SCOPE_VIOLATION", "severity": "medium", "description": "not granted"}],
}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(bundle, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    """What a command says that succeeds."""
    result = run(*arguments)
    assert result.exit_code == 0, result.exception or result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """The errors of a command that refuses a bundle."""
    return _ended(1, *arguments)


def failed(*arguments: object) -> str:
    """The errors of a command that cannot do its work."""
    return _ended(2, *arguments)


def active(server: RunningServer) -> dict[str, Any]:
    """The version in force, as the list has it."""
    with server.client() as http:
        versions = http.get("/mgmt/v1/bundles").json()["versions"]
    found: dict[str, Any] = next(version for version in versions if version["is_active"])
    return found


def _ended(code: int, *arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == code, result.exception or result.output
    assert result.stdout == ""
    return result.stderr
