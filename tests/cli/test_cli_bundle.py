"""`bundle` as a whole: its help, its usage errors, and how its commands end."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.bundle_commands import done, failed, refused, run

COMMANDS = [
    *("keygen", "build", "sign", "stage", "verify", "inspect", "push", "diff", "list", "show"),
    *("activate", "rollback", "delete", "download", "events"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    assert f"Example: scopebound-engine bundle {command}" in done(command, "--help")


def test_help_lists_the_commands_in_the_order_of_their_use_and_the_exit_codes() -> None:
    said = done("--help")
    listed = [line.split()[0] for line in said.splitlines() if line.startswith("  ")]
    assert [command for command in listed if command in COMMANDS] == COMMANDS
    assert "1  refused" in said
    assert "..." not in said.partition("\n")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "nowhere"],
        ["sign", "manifest.json"],
        ["verify", "manifest.json"],
        ["verify", "manifest.json", "--trust", "nowhere"],
        ["keygen"],
        ["keygen", "--out", "k", "--algorithm", "hs256"],
        ["stage", "policies"],
        ["inspect", "policies"],
        ["inspect", "nowhere"],
        ["push", "nowhere"],
        ["diff", "policies"],
        ["diff", "policies", "nowhere"],
        ["rollback"],
        ["events", "--limit", "0"],
    ],
)
def test_wrong_usage_exits_with_2(work: Path, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_what_is_refused_exits_with_1_and_a_line_for_each_finding(work: Path) -> None:
    (work / "policies/notes.txt").write_text("")
    (work / "policies/Upper.rego").write_text("")
    summary, *findings = refused("build", "policies", "--out", "out").splitlines()
    assert summary == "scopebound-engine: policies cannot be made a bundle"
    assert [line.split(":")[0] for line in findings] == [
        "policies/Upper.rego",
        "policies/notes.txt",
    ]
    assert not (work / "out").exists()


def test_what_cannot_be_done_exits_with_2_and_one_sentence(work: Path) -> None:
    done("build", "policies", "--out", "b.tgz")
    said = failed("sign", "b.tgz", "--key", "keys/bundle.pem")
    assert "holds no private key" in said
    assert said.count("\n") == 1


def test_what_is_refused_is_json_where_json_is_asked_for(work: Path) -> None:
    (work / "b.tgz").write_bytes(b"zip")
    result = run("inspect", "b.tgz", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["detail"] == "the archive is not a bundle"
    (finding,) = told["findings"]
    assert finding["step"] == "bytes"
    assert finding["message"] in result.stderr


def test_as_a_program_it_ends_alike(work: Path) -> None:
    (work / "b.tgz").write_bytes(b"zip")
    result = subprocess.run(
        [sys.executable, "-m", "scopebound_engine", "bundle", "inspect", "b.tgz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("scopebound-engine: the archive is not a bundle\n")
    assert "Traceback" not in result.stderr


def test_an_interrupted_command_does_not_say_that_nothing_was_changed(work: Path) -> None:
    (work / "b.tgz").write_bytes(b"as it is")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = ["bundle", "push", "b.tgz", "--url", url, "--api-key", "sb-x"]
        process = subprocess.Popen(
            [sys.executable, "-m", "scopebound_engine", *command],
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "`bundle list` tells what a server did" in told
