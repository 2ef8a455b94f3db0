"""Connections are shared evenly by the workers, and none waits long for one that stands still."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.processes import children, command
from tests.servers import RunningServer, serving
from tests.watching import until

WORKERS, DOZING_SECONDS = 3, 3
CONNECTIONS = 60
_ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("fairness")
    with serving(folder / "data", workers=WORKERS) as running:
        until(lambda: len(workers(running)) == WORKERS)
        until(lambda: all(threads(pid) > 40 for pid in workers(running)))  # all serve
        yield running


def workers(server: RunningServer) -> list[int]:
    return [pid for pid in children(server.process.pid) if "serve" in command(pid)]


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def sockets(pid: int) -> set[str]:
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found.add(str(file.readlink()))
    return found


def test_of_many_connections_each_worker_holds_as_many(server: RunningServer) -> None:
    before = {pid: sockets(pid) for pid in workers(server)}
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            asked(stack, server)
        held = [len(sockets(pid) - before[pid]) for pid in workers(server)]
    assert sum(held) >= CONNECTIONS
    assert max(held) - min(held) <= CONNECTIONS // 10, held


def test_connections_that_doze_do_not_count(server: RunningServer) -> None:
    with ExitStack() as stack:
        one, *others = workers(server)
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(CONNECTIONS // 2):
                asked(stack, server)
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)
        time.sleep(DOZING_SECONDS + 1.5)
        before = sockets(one)
        for _ in range(CONNECTIONS):
            asked(stack, server)
        assert len(sockets(one) - before) > CONNECTIONS // 6


def test_a_connection_waits_for_no_worker_that_stands_still(server: RunningServer) -> None:
    stopped = workers(server)[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        with ExitStack() as stack:
            began = time.monotonic()
            for _ in range(CONNECTIONS):
                asked(stack, server)
            assert time.monotonic() - began < 2
    finally:
        os.kill(stopped, signal.SIGCONT)


def asked(stack: ExitStack, server: RunningServer) -> None:
    """A connection on which a request was answered; it stays open."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
    connection.sendall(_ASK)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
