"""The worker under a real gunicorn: who gets a thread, and when a connection ends."""

import contextlib
import fcntl
import http.client
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from scopebound_engine.cli.tuning import Wakeups
from tests.servers import free_port

WORKER = "scopebound_engine.cli.worker.Worker"
KEEP_ALIVE = 2


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port, log = free_port(), tmp_path_factory.mktemp("gunicorn") / "log"
    yield from running(port, log)


def running(
    port: int, log: Path, level: str = "warning"
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with log.open("wb") as output:
        process = started(port, output, level)
    try:
        yield port, process
    finally:
        process.terminate()
        assert process.wait(10) == 0, log.read_text()
        assert log.read_text() == ""


def started(port: int, output: BinaryIO, level: str) -> subprocess.Popen[bytes]:
    command = (
        f"-m gunicorn tests.cli.echo:app --worker-class {WORKER} --threads 4 "
        f"--bind 127.0.0.1:{port} --keep-alive {KEEP_ALIVE} --graceful-timeout 5 "
        f"--log-level {level}"
    )
    process = subprocess.Popen([sys.executable, *command.split()], stderr=output)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    return process


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


def test_who_sends_requests_without_end_keeps_no_thread_from_others(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    stopping, greedy = threading.Event(), []

    def flood(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not stopping.is_set():
                connection.sendall(request() * 100)

    def take(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass

    for _ in range(8):
        greedy.append(connection := socket.create_connection(("127.0.0.1", server[0])))
        for work in flood, take:
            threading.Thread(target=work, args=(connection,), daemon=True).start()
    time.sleep(0.3)
    try:
        with socket.create_connection(("127.0.0.1", server[0]), timeout=2) as connection:
            connection.sendall(request())
            assert answers(connection, 1) == [b"ok"]
    finally:
        stopping.set()
        for connection in greedy:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def test_who_takes_no_answers_holds_no_thread(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    greedy = []
    for _ in range(8):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server[0]))
        connection.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while True:
                connection.sendall(request("times=10000") * 100)
        greedy.append(connection)
    with socket.create_connection(("127.0.0.1", server[0]), timeout=2) as connection:
        connection.sendall(request())
        assert answers(connection, 1) == [b"ok"]
    for connection in greedy:
        connection.close()


def test_an_answer_without_a_body_does_not_wait_for_the_rest_of_its_request(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    with socket.create_connection(("127.0.0.1", server[0]), timeout=0.5) as connection:
        connection.sendall(b"POST /?empty=1 HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n")
        assert answers(connection, 1) == [b"204"]
        connection.sendall(b"ok" + request("text=d"))
        assert answers(connection, 1) == [b"d"]


def test_connections_that_are_reset_at_once_end_no_worker(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    for number in range(2000):
        with socket.create_connection(("127.0.0.1", server[0])) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if number % 2:
                connection.sendall(request())
    with socket.create_connection(("127.0.0.1", server[0]), timeout=2) as connection:
        connection.sendall(request())
        assert answers(connection, 1) == [b"ok"]


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


def test_half_requests_end_after_a_second_and_nothing_is_logged(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    half = [socket.create_connection(("127.0.0.1", server[0])) for _ in range(4)]
    for connection in half:
        connection.sendall(b"GET /")
    for connection in half:
        connection.settimeout(3)
        assert connection.recv(1) == b""
        connection.close()


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


def test_answers_that_break_off_cost_no_thread(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for port, _ in running(free_port(), log, "critical"):
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(request("broken=1"))
                assert b"".join(iter(lambda: connection.recv(1000), b"")).endswith(b"\r\n\r\no")
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request())
            assert answers(connection, 1) == [b"ok"]


def test_a_log_that_nobody_reads_holds_no_thread() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    port = free_port()
    with os.fdopen(reading, "rb") as unread, os.fdopen(writing, "wb") as output:
        process = started(port, output, "warning")
        try:
            for _ in range(100):
                with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                    connection.sendall(b"no request\r\n\r\n")
                    assert answers(connection, 1) == [b"400"]
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(request())
                assert answers(connection, 1) == [b"ok"]
            assert unread.read(4096)
        finally:
            process.terminate()
            output.close()
            unread.read()
            process.wait(10)


def test_a_thread_that_ends_last_writes_into_nobody_elses_file() -> None:
    wakeups = Wakeups()
    wakeups.init()
    wakeups.close()
    with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as two:
        wakeups.defer(lambda: None)
        assert not any(os.fstat(file.fileno()).st_size for file in (one, two))


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
