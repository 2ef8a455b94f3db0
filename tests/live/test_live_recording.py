"""The decision log of a real server: all its workers in one chain, and who was no longer there."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.processes import descendants
from tests.recording import Record, records_of
from tests.servers import API_KEY, RunningServer, environment, serving
from tests.watching import is_well, metrics, until

CALLS = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("recording") / "data", workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def jwt(server: RunningServer) -> str:
    with server.client() as http:
        http.post("/mgmt/v1/roles", json={"name": "agent", "allowed_tools": ["read"]})
        return str(http.post("/v1/provision", json={"role_id": "agent"}).json()["jwt"])


def call(jwt: str, call_id: str) -> dict[str, Any]:
    return {"jwt": jwt, "tool_name": "read", "call_args": {}, "call_id": call_id}


def test_workers_write_one_chain_with_each_answer_once(server: RunningServer, jwt: str) -> None:
    def ask(number: int) -> dict[str, Any]:
        with server.client() as http:  # a connection of its own finds any of the workers
            return dict(http.post("/v1/enforce", json=call(jwt, f"call-{number}")).json())

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(ask, range(CALLS)))
    recorded = {one["id"]: one for one in records_of(server.data_dir) if "call_id" in one}
    for answer in answers:
        record = recorded[answer["decision_id"]]
        assert (record["call_id"], record["decision"]) == (answer["call_id"], answer["decision"])
    ids = [one["call_id"] for one in recorded.values() if one["call_id"].startswith("call-")]
    assert len(ids) == len(set(ids)) == CALLS


def late_answer(server: RunningServer, seconds: float = 10.0) -> Record:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for record in records_of(server.data_dir):
            if record["event"] == "answer.late":
                return record
        time.sleep(0.05)
    raise AssertionError("no answer was marked as late")


def test_an_answer_whose_caller_has_hung_up_is_marked(server: RunningServer, jwt: str) -> None:
    body = json.dumps(call(jwt, "hung-up")).encode()
    head = (
        f"POST /v1/enforce HTTP/1.1\r\nHost: x\r\nX-Scopebound-API-Key: {API_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    address = server.url.removeprefix("http://").split(":")
    workers = descendants(server.process.pid)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        with socket.create_connection((address[0], int(address[1]))) as caller:
            caller.sendall(head.encode() + body)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    late = late_answer(server)
    assert (late["call_id"], late["decision"]) == ("hung-up", "allow")
    assert late["details"]["peer_gone"] is True
    [decided] = [one for one in records_of(server.data_dir) if one["id"] == late["of"]]
    assert decided["event"] == "tool_call.allow"


def test_journal_metrics_analytics_and_what_is_decided_again_agree(
    server: RunningServer, jwt: str
) -> None:
    with server.client() as http:
        for body in (call(jwt, "call-1"), call(jwt, "no") | {"tool_name": "write"}, {"jwt": jwt}):
            http.post("/v1/enforce", json=body)
        http.post("/v1/mcp/enforce", json=call("no token", "none"))
        until(lambda: is_well(server))
        usage = http.get("/mgmt/v1/analytics").json()
    events = Counter[str]()
    decisions = Counter[str]()
    for one in records_of(server.data_dir):
        events[one["event"].rpartition(".")[2]] += 1
        if one["event"].startswith(("tool_call.", "mcp_tool_call.")):
            decisions[one.get("deny_code", "allow")] += 1
    found = metrics(server)
    assert found.decisions == decisions
    assert set(decisions) == {"allow", "SCOPE_VIOLATION", "REQUEST_INVALID", "JWT_INVALID"}
    assert found["late_answers_total"] == events["late"]
    assert found["unrecorded_denials_total"] == 0
    assert (usage["allow_count"], usage["deny_count"]) == (events["allow"], events["deny"])
    assert events["replay"] == 1
    by_policy = decisions["allow"] + decisions["SCOPE_VIOLATION"] - events["replay"]
    assert reproduced(server) == {"identical": by_policy, "different": 0}


def reproduced(server: RunningServer) -> dict[str, int]:
    """What comes of deciding all of the journal again."""
    command = [sys.executable, "-m", "scopebound_engine", "log", "reproduce", "--json"]
    done = subprocess.run(
        [*command, server.data_dir / "log"],
        env=environment(server.data_dir),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    said = json.loads(done.stdout)
    return {outcome: said[outcome] for outcome in ("identical", "different")}


def test_neither_keys_nor_tokens_are_on_the_disk_with_the_log(
    server: RunningServer, jwt: str
) -> None:
    files: list[Path] = [file for file in (server.data_dir / "log").rglob("*") if file.is_file()]
    log = b"".join(file.read_bytes() for file in files)
    assert b"tool_call.allow" in log
    for secret in (API_KEY, jwt, jwt.rpartition(".")[2]):
        assert secret.encode() not in log
