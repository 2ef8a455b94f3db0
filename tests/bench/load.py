"""A load generator that costs little, because it shares its machine with what it measures.

Open model: calls leave on a schedule whatever the server does, and a latency counts from the
scheduled time, so that a stall is not hidden by the calls that it kept from leaving. Closed model:
each connection sends its next call when the last one is answered.
"""

import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from itertools import cycle

from tests.bench.figures import Summary, summary
from tests.servers import API_KEY, RunningServer

# Connections of the open model: more calls than these are never under way.
_OPEN = 64


def opened(
    server: RunningServer, bodies: Sequence[str], rate: float, seconds: float
) -> tuple[Summary, float]:
    """What `rate` calls a second find, and the processor seconds spent on sending them."""
    return _measured(_Load(server, bodies, _OPEN), rate, seconds)


def closed(
    server: RunningServer, bodies: Sequence[str], connections: int, seconds: float
) -> tuple[Summary, float]:
    """What so many connections find, and the processor seconds spent on sending."""
    return _measured(_Load(server, bodies, connections), None, seconds)


def request(body: str) -> bytes:
    """The bytes of an enforce call."""
    content = body.encode()
    head = (
        f"POST /v1/enforce HTTP/1.1\r\nHost: bench\r\nX-Scopebound-API-Key: {API_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _measured(load: "_Load", rate: float | None, seconds: float) -> tuple[Summary, float]:
    before, began = time.process_time(), time.perf_counter()
    try:
        latencies = load.run(rate, seconds)
    finally:
        load.close()
    took = time.perf_counter() - began
    return summary(latencies, took), time.process_time() - before


class _Load:
    """Connections, and the requests that they send in turn."""

    def __init__(self, server: RunningServer, bodies: Sequence[str], connections: int) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        self._requests = cycle([request(body) for body in bodies])
        # Of all selectors this one alone waits for less than a millisecond.
        self._selector = selectors.SelectSelector()
        self._all = [socket.create_connection((host, int(port))) for _ in range(connections)]
        for connection in self._all:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ)
        # The one that was free for longest is next, so that none is closed for idling.
        self._free = deque(self._all)
        self._due: dict[object, float] = {}
        self._parts: dict[object, bytes] = {}

    def run(self, rate: float | None, seconds: float) -> list[float]:
        """Send for so many seconds, then wait for what is under way; the latencies in seconds."""
        latencies: list[float] = []
        began, number = time.perf_counter(), 0
        until = began + seconds
        while (now := time.perf_counter()) < until or self._due:
            due = now if rate is None else began + number / rate
            while self._free and due <= now < until:
                self._send(due)
                number += 1
                due = now if rate is None else began + number / rate
            idle = self._free and now < until
            self._receive(latencies, max(0.0, min(due, until) - now) if idle else 1.0)
        return latencies

    def close(self) -> None:
        """End the connections."""
        self._selector.close()
        for connection in self._all:
            connection.close()

    def _send(self, due: float) -> None:
        connection = self._free.popleft()
        self._due[connection] = due
        connection.sendall(next(self._requests))

    def _receive(self, latencies: list[float], seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            received = connection.recv(65536)
            if not received:
                raise RuntimeError("the server closed a connection; its log may say why")
            answer = self._parts.pop(connection, b"") + received
            if not answer.endswith(b"}"):  # the body comes in a packet of its own
                self._parts[connection] = answer
                continue
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"the server answered {answer[:500]!r}")
            latencies.append(time.perf_counter() - self._due.pop(connection))
            self._free.append(connection)
