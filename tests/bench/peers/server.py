"""The peers over HTTP: Scopebound itself, and the bare stack. One client, one worker, keep-alive.

Processor time is that of the server with all below it; the client's is nobody's.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.bench.load import request
from tests.bench.peers.measuring import Figures, measured
from tests.bench.peers.question import CALLS, Round
from tests.bench.scenario import ROLE, TYPICAL, Scenario
from tests.bench.service import service
from tests.costs import cpu_seconds
from tests.servers import RunningServer, free_port, stop

_START_SECONDS = 20.0
_TOKEN = "e" * 1_200


@contextmanager
def scopebound() -> Iterator[Round]:
    """`scopebound-engine serve` as it comes, on SQLite."""
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder), workers=1) as running,
    ):
        bodies = {
            name: running.bodies(Scenario(ROLE, TYPICAL.tool, arguments), sessions=1)[0]
            for name, arguments in CALLS.items()
        }
        with _opened(running.server) as connection:
            yield partial(_round, connection, running.server.process.pid, bodies)


@contextmanager
def echo() -> Iterator[Round]:
    """The bare stack, which gets bodies of the same size."""
    bodies = {
        name: json.dumps({"jwt": _TOKEN, "tool_name": TYPICAL.tool, "call_args": arguments})
        for name, arguments in CALLS.items()
    }
    with bare() as server, _opened(server) as connection:
        yield partial(_round, connection, server.process.pid, bodies)


@contextmanager
def bare(workers: int = 1, busy_us: float = 0) -> Iterator[RunningServer]:
    """The bare stack, once it listens, with so much work for each call."""
    port = free_port()
    arguments = [str(port), str(workers), str(round(busy_us))]
    asked = [sys.executable, "-m", "tests.bench.peers.echo", *arguments]
    process = subprocess.Popen(asked)
    try:
        server = RunningServer(f"http://127.0.0.1:{port}", process, Path(), Path())
        _opened(server, _START_SECONDS).close()
        yield server
    finally:
        stop(process)


def _opened(server: RunningServer, seconds: float = 0.0) -> socket.socket:
    """A connection to it, once it listens, for which it has so many seconds."""
    until = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
        except ConnectionRefusedError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.05)


def _round(
    connection: socket.socket, pid: int, bodies: Mapping[str, str], question: str, seconds: float
) -> Figures:
    sent = request(bodies[question])

    def decide() -> str | None:
        connection.sendall(sent)
        answer = b""
        while not answer.endswith(b"}"):  # the body comes in a packet of its own
            answer += connection.recv(65536)
        said = json.loads(answer.partition(b"\r\n\r\n")[2])
        return None if said["decision"] == "allow" else str(said["deny_code"])

    return measured(decide, partial(cpu_seconds, pid), seconds)
