"""`bundle push`: what is wrong is found before it is sent, what is sent takes effect once."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.config import SHIPPED
from tests.bundles import make_bundle, server_key
from tests.cli.answering import Answering
from tests.cli.bundle_commands import active, done, failed, refused, run
from tests.servers import API_KEY, RunningServer

UPLOAD = "POST /mgmt/v1/bundles/upload?"
IN_FORCE = {
    "id": "feed6359-c16c-4d1c-910d-6440c8b95b60",
    "version": "1.2.0",
    "checksum": "e47b",
    "is_active": True,
    "uploaded_at": "2026-04-29T17:20:00Z",
    "description": "",
    "unchanged": False,
    "generation": 5,
    "warnings": [],
    "converged": True,
    "workers": {"expected": 2, "running": 2, "laggards": []},
}


def policies(folder: Path, version: str, **changes: Any) -> Path:
    """The shipped policies without their tests, as sources of another version."""
    shutil.copytree(SHIPPED / "policies", folder / "policies")
    for test in (folder / "policies").rglob("*_test.rego"):
        test.unlink()
    manifest = json.loads((SHIPPED / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "version": version, **changes}))
    return folder / "policies"


def said(output: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in output.splitlines())


def last_event(server: RunningServer) -> dict[str, Any]:
    with server.client() as http:
        found: dict[str, Any] = http.get("/mgmt/v1/bundles/events?limit=1").json()["events"][0]
    return found


# Against a real server


def test_a_folder_is_built_signed_checked_and_put_in_force(
    server: RunningServer, tmp_path: Path
) -> None:
    folder, key = policies(tmp_path, "2.0.0"), server.data_dir / "bundle-keys/signing.pem"
    dry = said(done("push", folder, "--key", key, "--dry-run"))
    assert dry["state"] == "would be put in force; a dry run changes nothing"
    assert active(server)["version"] != "2.0.0"

    first = said(done("push", folder, "--key", key, "--description", "no & more"))
    now = active(server)
    assert first["checked"].startswith("here in ")
    assert first["state"] == f"in force as generation {now['generation']}"
    assert first["workers"] == "1 of 1 run it"
    assert (first["id"], first["checksum"]) == (now["id"], now["checksum"])
    assert (now["version"], now["description"]) == ("2.0.0", "no & more")
    assert now["identity"] == dry["identity"]

    again = json.loads(done("push", folder, "--key", key, "--skip-check", "--json"))
    assert again["unchanged"]
    assert again["id"] == now["id"]


def test_a_stored_archive_takes_effect_when_it_is_activated(
    server: RunningServer, tmp_path: Path
) -> None:
    (tmp_path / "b.tgz").write_bytes(make_bundle(server_key(server.data_dir), "2.1.0", denies=True))
    before = active(server)
    stored = said(done("push", tmp_path / "b.tgz", "--no-activate"))
    assert stored["checked"] == "by the server only: no --trust to check the signature with"
    assert active(server)["id"] == before["id"]
    command = stored["state"].removeprefix("stored; scopebound-engine bundle ").split()
    assert said(done(*command))["state"].startswith("in force as generation ")
    assert active(server)["id"] == stored["id"]


def test_what_the_gate_refuses_is_not_sent(server: RunningServer, tmp_path: Path) -> None:
    folder, key = policies(tmp_path, "3.0.0"), server.data_dir / "bundle-keys/signing.pem"
    rule = folder / "scopebound/deny/env_violation.rego"
    rule.write_text(rule.read_text().replace("facts.tool_call", "facts.tool_cal", 1))
    before = last_event(server)
    local = refused("push", folder, "--key", key).splitlines()
    assert last_event(server) == before

    remote = refused("push", folder, "--key", key, "--skip-check").splitlines()
    assert local[0] == "scopebound-engine: the bundle does not pass the gate"
    assert remote[0] == "scopebound-engine: the server refuses it"
    assert local[1:] == remote[1:]
    assert local[1].startswith("scopebound/deny/env_violation.rego:")
    assert last_event(server)["kind"] == "bundle.refused"


def test_a_signature_of_a_stranger_is_refused_here_and_there(
    server: RunningServer, work: Path
) -> None:
    folder = policies(work / "own", "3.0.0")
    trusted = server.data_dir / "bundle-keys/trusted"
    told = refused("push", folder, "--key", "keys/bundle.key", "--trust", trusted)
    assert "no trusted key is called" in told
    assert "no trusted key is called" in refused(
        *("push", folder, "--key", "keys/bundle.key", "--skip-check")
    )


def test_an_older_version_is_refused_by_the_server_alone(
    server: RunningServer, tmp_path: Path
) -> None:
    folder, key = policies(tmp_path, "0.9.0"), server.data_dir / "bundle-keys/signing.pem"
    result = run("push", folder, "--key", key, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["findings"][0]["step"] == "version"
    assert "version 0.9.0 is lower than" in result.stderr


# What only a server of the test says


def test_every_option_reaches_the_server(answers: Answering, work: Path) -> None:
    query = "description=a+%26+b&activate=false&acknowledge_floor=true"
    answers.answer(UPLOAD + query, 200, {**IN_FORCE, "is_active": False})
    done("build", "policies", "--key", "keys/bundle.key", "--out", "b.tgz")
    wishes = ["--description", "a & b", "--no-activate", "--acknowledge-floor"]
    done("push", "b.tgz", *wishes)
    (asked,) = answers.asked
    assert asked.body == (work / "b.tgz").read_bytes()
    assert asked.api_key == API_KEY


def test_a_push_can_depend_on_a_backtest(answers: Answering, work: Path) -> None:
    (work / "b.tgz").write_bytes(b"as it is")
    problem = {
        "type": "urn:scopebound:problem:bundle-refused",
        "detail": "3 denied calls of the last 24 h would have been allowed",
        "findings": [
            {"step": "backtest", "message": "denied", "remedy": "acknowledge_backtest=ab"}
        ],
    }
    answers.answer(UPLOAD + "backtest=required", 422, problem)
    answers.answer(UPLOAD + "backtest=required&acknowledge_backtest=ab", 200, IN_FORCE)
    assert "acknowledge_backtest=ab" in refused("push", "b.tgz", "--backtest", "required")
    done("push", "b.tgz", "--backtest", "required", "--acknowledge-backtest", "ab")
    failed("push", "b.tgz", "--backtest", "perhaps")


def test_workers_that_lag_behind_are_told_and_exit_with_3(answers: Answering, work: Path) -> None:
    laggard = {"node_id": "n1", "pid": 7, "generation": 4, "silent_seconds": 2.5, "error": "\x1bx"}
    workers = {"expected": 2, "running": 1, "laggards": [laggard]}
    answers.answer(UPLOAD, 200, {**IN_FORCE, "converged": False, "workers": workers})
    (work / "b.tgz").write_bytes(b"as it is")
    result = run("push", "b.tgz")
    assert result.exit_code == 3
    assert said(result.stdout)["workers"] == "1 of 2 run it"
    assert "pid 7 of node n1 runs generation 4, last heard of 2.5 s ago: \\x1bx" in result.stderr
    workers = {"expected": 0, "running": 0, "laggards": []}
    answers.answer(UPLOAD, 200, {**IN_FORCE, "converged": False, "workers": workers})
    result = run("push", "b.tgz", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["workers"] == workers
    assert "no worker has reported" in result.stderr


def test_warnings_of_the_server_are_lines_on_stderr(answers: Answering, work: Path) -> None:
    warning = {
        "step": "costs",
        "level": "warning",
        "file": "scopebound/main.rego",
        "line": 3,
        "column": 1,
        "message": "200 rules",
        "remedy": "fewer",
    }
    answers.answer(UPLOAD, 200, {**IN_FORCE, "warnings": [warning]})
    (work / "b.tgz").write_bytes(b"as it is")
    result = run("push", "b.tgz")
    assert result.exit_code == 0
    assert result.stderr == "warning: scopebound/main.rego:3:1: 200 rules (fewer)\n"


@pytest.mark.parametrize(
    ("status", "code"), [(409, 1), (413, 1), (422, 1), (400, 2), (401, 2), (403, 2), (503, 2)]
)
def test_only_what_is_said_of_the_bundle_is_a_refusal(
    answers: Answering, work: Path, status: int, code: int
) -> None:
    answers.answer(UPLOAD, status, {"detail": "that is why"})
    (work / "b.tgz").write_bytes(b"as it is")
    result = run("push", "b.tgz")
    assert result.exit_code == code
    assert "that is why" in result.stderr
    assert API_KEY not in result.output


def test_without_a_server_nothing_is_checked_and_it_exits_with_2(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "b.tgz").write_bytes(b"as it is")
    for name in ("SCOPEBOUND_API_KEY", "SCOPEBOUND_BOOTSTRAP_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCOPEBOUND_DATA_DIR", str(work / "none"))
    assert "no API key" in failed("push", "b.tgz")
    assert "no server answers" in failed(
        *("push", "b.tgz", "--url", "http://127.0.0.1:1", "--api-key", "sb-x")
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["policies"],
        ["manifest.json", "--key", "keys/bundle.key"],
        ["manifest.json", "--manifest", "manifest.json"],
    ],
)
def test_a_folder_needs_a_key_and_an_archive_has_its_signature(
    answers: Answering, work: Path, arguments: list[str]
) -> None:
    assert "--key" in failed("push", *arguments)
    assert answers.asked == []


def test_on_a_terminal_it_says_what_it_waits_for(answers: Answering, work: Path) -> None:
    done("build", "policies", "--key", "keys/bundle.key", "--out", "b.tgz")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "scopebound_engine",
            *["bundle", "verify", "b.tgz", "--trust", "keys"],
        ],
        stdout=subprocess.PIPE,
        stderr=slave,
    )
    os.close(slave)
    process.communicate(timeout=60)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert "checking the policy … 0 s" in shown
    assert shown.index("checking the policy") < shown.index("does not pass the gate")
