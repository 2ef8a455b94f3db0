"""The life of a server, as an operator sees it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.processes import descendants, wait_until_gone
from tests.servers import (
    PLAIN,
    RunningServer,
    environment,
    free_port,
    make_prepared,
    serving,
    stop,
    wait_until_healthy,
)


def serve_and_fail(env: dict[str, str]) -> str:
    """The standard error of a server that does not start."""
    result = subprocess.run(
        [sys.executable, "-m", "scopebound_engine", "serve"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1, result.stdout
    assert "Traceback" not in result.stderr
    return result.stderr.strip()


def full_family(server: RunningServer) -> set[int]:
    """All processes below the server: two workers, each with a spawner and two evaluators."""
    deadline = time.monotonic() + 10
    while len(family := set(descendants(server.process.pid))) < 2 + 2 * (1 + 2):
        assert time.monotonic() < deadline, descendants(server.process.pid)
        time.sleep(0.05)
    return family


@contextmanager
def started(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server on the prepared data of a folder, from its first moment; its output is in `log`."""
    settings = environment(folder / "data", port=port, workers=2)
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "scopebound_engine", "serve"]
        process = subprocess.Popen(command, env=settings, stdout=log, stderr=log)
    try:
        yield process
    finally:
        stop(process)


def connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.005)


def test_a_second_start_finds_what_the_first_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = {"bootstrap_api_key": ""}
    found = []
    for _ in range(2):
        with serving(data, first_start=True, **settings) as server:
            key = (data / "api-key").read_text().strip()
            headers = {"X-Scopebound-API-Key": key}
            if not found:
                role = {"name": "kept", "allowed_tools": ["read"]}
                httpx.post(f"{server.url}/mgmt/v1/roles", json=role, headers=headers)
            listed = httpx.get(f"{server.url}/mgmt/v1/roles", headers=headers).json()
            jwks = httpx.get(f"{server.url}/.well-known/jwks.json").json()
            found.append((key, listed, jwks))
    assert found[0] == found[1]
    assert found[0][1]["count"] == 1
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "api-key").stat().st_mode) == 0o600


def test_the_welcome_names_address_key_and_two_commands_that_work(tmp_path: Path) -> None:
    with serving(tmp_path / "data", first_start=True, bootstrap_api_key="") as server:
        welcome = server.log.read_text()
        commands = [line.strip() for line in welcome.splitlines() if "curl" in line]
        assert len(commands) == 2
        for line in commands:
            result = subprocess.run(
                ["bash", "-c", line], capture_output=True, text=True, timeout=20, check=False
            )
            assert result.stdout.startswith("{"), result
            assert '"status":4' not in result.stdout


def test_sigterm_ends_everything(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        family = full_family(server)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0
        assert wait_until_gone(family, 2) == set()


def test_kill_9_of_the_master_leaves_no_process_behind(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        family = full_family(server)
        server.process.kill()
        server.process.wait()
        assert wait_until_gone(family, 5) == set()


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path / "data", workers=1) as server:
        worker = next(
            pid for pid, line in descendants(server.process.pid).items() if "serve" in line
        )
        below = set(descendants(worker))
        os.kill(worker, signal.SIGKILL)
        assert wait_until_gone(below | {worker}, 3) == set()
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{server.url}/healthz", timeout=1, **PLAIN).json()["status"] == "ok":
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        pytest.fail("no worker came back")


def test_a_request_in_flight_at_sigterm_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path / "data", workers=1) as server, server.client() as http:
        http.post("/mgmt/v1/roles", json={"name": "r", "allowed_tools": ["read"]})
        token = http.post("/v1/provision", json={"role_id": "r"}).json()["jwt"]
        decisions: list[str] = []
        stopping = threading.Event()

        def work() -> None:
            body = {"jwt": token, "tool_name": "read", "call_args": {}}
            while not stopping.is_set():
                decisions.append(http.post("/v1/enforce", json=body).json()["decision"])

        worker = threading.Thread(target=work)
        worker.start()
        time.sleep(0.3)
        stopping.set()
        server.process.send_signal(signal.SIGTERM)
        worker.join(10)
        assert set(decisions) == {"allow"}


def test_who_can_connect_is_answered(tmp_path: Path) -> None:
    make_prepared(tmp_path / "data")
    with started(tmp_path, port := free_port()) as process:
        began = time.monotonic()
        connection = connected(port)
        waited = time.monotonic() - began
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        # A worker takes about as long to begin as the program that starts it.
        assert time.monotonic() - began - waited < waited / 4
        assert process.poll() is None


def test_of_two_that_start_at_one_port_one_serves_and_the_other_says_why_not(
    tmp_path: Path,
) -> None:
    make_prepared(tmp_path / "a" / "data")
    make_prepared(tmp_path / "b" / "data")
    port = free_port()
    with started(tmp_path / "a", port) as first, started(tmp_path / "b", port) as second:
        connected(port).close()
        deadline = time.monotonic() + 15
        while first.poll() is second.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (first.poll() is None) != (second.poll() is None)
        told = (tmp_path / ("b" if first.poll() is None else "a") / "log").read_text()
        assert "cannot listen on 127.0.0.1" in told
        assert "SCOPEBOUND_PORT" in told
        connected(port).close()


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        message = serve_and_fail(environment(tmp_path / "data", port=port))
    assert message.count("\n") == 0
    assert f"127.0.0.1:{port}" in message
    assert "SCOPEBOUND_PORT" in message


def test_an_ipv6_address_is_served(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    make_prepared(tmp_path / "data")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "scopebound_engine", "serve"],
            env=environment(tmp_path / "data", host="::1", port=port),
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_healthy(
            RunningServer(f"http://[::1]:{port}", process, tmp_path, tmp_path / "log")
        )
    finally:
        stop(process)


def test_an_address_of_another_machine_is_one_sentence(tmp_path: Path) -> None:
    message = serve_and_fail(environment(tmp_path / "data", host="192.0.2.1"))
    assert message.count("\n") == 0
    assert "SCOPEBOUND_HOST" in message


def test_silent_connections_beyond_the_descriptors_hurt_nobody(tmp_path: Path) -> None:
    make_prepared(tmp_path / "data")
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", 'ulimit -n 300 && exec "$0" -m scopebound_engine serve', sys.executable],
            env=environment(tmp_path / "data", port=port, workers=1),
            stdout=log,
            stderr=log,
        )
    server = RunningServer(f"http://127.0.0.1:{port}", process, tmp_path, tmp_path / "log")
    silent: list[socket.socket] = []
    try:
        wait_until_healthy(server)
        with server.client() as http:
            assert http.get("/healthz").status_code == 200
            silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]
            assert http.get("/healthz").status_code == 200
        assert "Worker exited" not in server.log.read_text()
    finally:
        for connection in silent:
            connection.close()
        stop(process)


def test_an_unusable_data_folder_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "a-file"
    file.write_text("")
    message = serve_and_fail(environment(file / "data"))
    assert message.count("\n") == 0
    assert "SCOPEBOUND_DATA_DIR" in message


def test_an_unknown_variable_is_one_sentence(tmp_path: Path) -> None:
    message = serve_and_fail(environment(tmp_path / "data", evaluatorz=3))
    assert message.count("\n") == 0
    assert "SCOPEBOUND_EVALUATORZ" in message
    assert "SCOPEBOUND_EVALUATORS" in message


def test_the_clients_own_variables_are_known(tmp_path: Path) -> None:
    with serving(tmp_path / "data", api_key="sb-x", base_url="http://127.0.0.1:1") as server:
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_the_app_is_plain_wsgi(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "scopebound_engine.api.app:get_app()"),
            *("--bind", f"127.0.0.1:{port}", "--workers", "2", "--no-control-socket"),
        ],
        env=environment(tmp_path / "data"),
        stdout=log,
        stderr=log,
    )
    try:
        wait_until_healthy(
            RunningServer(f"http://127.0.0.1:{port}", process, tmp_path, tmp_path / "log")
        )
    finally:
        stop(process)
