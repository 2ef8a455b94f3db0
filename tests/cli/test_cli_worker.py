"""The worker under a real gunicorn: who gets a thread, and when a connection ends."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port

WORKER = "scopebound_engine.cli.worker.Worker"
KEEP_ALIVE = 2


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port, log = free_port(), tmp_path_factory.mktemp("gunicorn") / "log"
    yield from running(port, log)


def running(port: int, log: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    command = (
        f"-m gunicorn tests.cli.echo:app --worker-class {WORKER} --threads 4 "
        f"--bind 127.0.0.1:{port} --keep-alive {KEEP_ALIVE} --graceful-timeout 5 "
        "--log-level warning"
    )
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, *command.split()], stderr=output)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        assert process.wait(10) == 0, log.read_text()
        assert log.read_text() == ""


def request(query: str = "") -> bytes:
    return f"GET /?{query} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


def answers(connection: socket.socket, count: int) -> list[bytes]:
    """The bodies of so many answers, in the order in which they came."""
    file = connection.makefile("rb")
    bodies = []
    for _ in range(count):
        status, length = file.readline().split()[1], 0
        while (line := file.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        bodies.append(file.read(length) if status == b"200" else status)
    return bodies


def test_requests_sent_together_are_answered_in_their_order(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    with socket.create_connection(("127.0.0.1", server[0])) as connection:
        connection.sendall(request("text=a") + request("empty=1") + request("text=c"))
        assert answers(connection, 3) == [b"a", b"204", b"c"]
        connection.sendall(request("text=d"))
        assert answers(connection, 1) == [b"d"]


def test_more_connections_than_threads_are_all_served(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    connections = [socket.create_connection(("127.0.0.1", server[0])) for _ in range(40)]
    for round_ in range(3):
        for number, connection in enumerate(connections):
            connection.sendall(request(f"seconds=0.01&text={round_}.{number}"))
        for number, connection in enumerate(connections):
            assert answers(connection, 1) == [f"{round_}.{number}".encode()]
    for connection in connections:
        connection.close()


def test_silent_connections_hold_no_thread_and_end_in_time(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    silent = [socket.create_connection(("127.0.0.1", server[0])) for _ in range(20)]
    opened = time.monotonic()
    with socket.create_connection(("127.0.0.1", server[0])) as connection:
        connection.sendall(request())
        assert answers(connection, 1) == [b"ok"]
    assert time.monotonic() - opened < KEEP_ALIVE
    for connection in silent:
        connection.settimeout(3 * KEEP_ALIVE)
        assert connection.recv(1) == b""
        connection.close()
    assert time.monotonic() - opened >= KEEP_ALIVE


def test_a_connection_that_is_used_does_not_end(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    used = http.client.HTTPConnection("127.0.0.1", server[0])
    used.connect()
    first = used.sock
    for _ in range(2 * KEEP_ALIVE):
        used.request("GET", "/")
        assert used.getresponse().read() == b"ok"
        time.sleep(0.75)
    assert used.sock is first


def test_at_the_end_requests_under_way_are_answered_and_idle_connections_closed(
    tmp_path: Path,
) -> None:
    for port, process in running(free_port(), tmp_path / "log"):
        idle = socket.create_connection(("127.0.0.1", port))
        idle.sendall(request())
        assert answers(idle, 1) == [b"ok"]
        busy = socket.create_connection(("127.0.0.1", port))
        busy.sendall(request("seconds=1&text=late"))
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert answers(busy, 1) == [b"late"]
        assert busy.recv(1) == idle.recv(1) == b""
        assert process.wait(6) == 0
