"""Enforce calls at a steady rate, and the history of what was answered.

An open model: calls leave on a schedule whatever the servers do, each over a connection of its own
while it lasts, and a latency counts from the scheduled time. All times are of `time.monotonic()`,
one clock for every process of the machine.
"""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

from tests.bundles import MARKED
from tests.servers import API_KEY, RunningServer

PLAIN = "plain"
_UNLIMITED = 1_000_000_000
_ROLE = {
    "name": "load",
    "allowed_tools": [PLAIN, MARKED],
    "rate_limit_per_minute": _UNLIMITED,
    "rate_limit_per_hour": _UNLIMITED,
}


@dataclass(frozen=True)
class Answer:
    """One call and what came of it. `status` 0: the connection broke before an answer."""

    server: int
    tool: str
    due: float
    begun: float
    ended: float
    status: int
    body: bytes

    @cached_property
    def decision(self) -> dict[str, Any]:
        """The answer's JSON; empty where there is none."""
        decision: dict[str, Any] = json.loads(self.body) if self.status == 200 else {}
        return decision

    @property
    def latency(self) -> float:
        """Seconds since the call was due."""
        return self.ended - self.due


class Latency(NamedTuple):
    """In seconds."""

    p50: float
    p99: float
    most: float

    def __str__(self) -> str:
        return " ".join(
            f"{name} {seconds * 1000:.1f} ms"
            for name, seconds in zip(("p50", "p99", "max"), self, strict=True)
        )


def latency(seconds: Iterable[float]) -> Latency:
    """Median, 99th percentile and maximum."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return Latency(ordered[last // 2], ordered[int(last * 0.99)], ordered[last])


class Load:
    """`rate` calls a second over all servers in turn, every other one of the tool MARKED.

    Runs in a thread while the block lasts; then `history` holds every answer, as they came.
    """

    def __init__(
        self,
        servers: Sequence[RunningServer],
        rate: float,
        *,
        sessions: int = 8,
        lines: int = 16,
        waiting: int = 0,
    ) -> None:
        """`lines` connections to each server; `sessions` share the calls.

        Calls that are due while so many wait for a connection are left out; 0: none ever are. In
        the place of a server in `servers` another one may be put.
        """
        self.history: list[Answer] = []
        self._servers, self._rate, self._lines, self._waiting = servers, rate, lines, waiting
        self._requests = {tool: _requests(servers[0], tool, sessions) for tool in (PLAIN, MARKED)}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def since(self, moment: float, until: float = float("inf")) -> list[Answer]:
        """The answers to calls that were due between two moments."""
        return [answer for answer in list(self.history) if moment <= answer.due < until]

    async def _run(self) -> None:
        queues: list[asyncio.Queue[tuple[float, int] | None]] = [
            asyncio.Queue(self._waiting) for _ in self._servers
        ]
        lines = [
            asyncio.create_task(self._line(index, queue))
            for index, queue in enumerate(queues)
            for _ in range(self._lines)
        ]
        started = time.monotonic()
        for number in itertools.count():
            due = started + number / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._stopping.is_set():
                break
            with suppress(asyncio.QueueFull):
                queues[number % len(queues)].put_nowait((due, number // len(queues)))
        for queue in queues:
            for _ in range(self._lines):
                await queue.put(None)
        await asyncio.gather(*lines)

    async def _line(self, index: int, queue: asyncio.Queue[tuple[float, int] | None]) -> None:
        """One call after another over one connection, which is made again when it broke."""
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while (item := await queue.get()) is not None:
            due, number = item
            tool, request = self._request(number)
            begun = time.monotonic()
            try:
                stream = stream or await self._connected(index)
                stream[1].write(request)
                status, body = await answered(stream[0])
            except (OSError, asyncio.IncompleteReadError):
                if stream is not None:
                    stream[1].close()
                stream, status, body = None, 0, b""
            ended = time.monotonic()
            self.history.append(Answer(index, tool, due, begun, ended, status, body))
        if stream is not None:
            stream[1].close()

    async def _connected(self, index: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._servers[index].url.removeprefix("http://").split(":")
        return await asyncio.open_connection(host, int(port))

    def _request(self, number: int) -> tuple[str, bytes]:
        """A call's tool, and the bytes of its request."""
        tool = (PLAIN, MARKED)[number % 2]
        requests = self._requests[tool]
        return tool, requests[number // 2 % len(requests)]


def posted(path: str, document: Mapping[str, Any]) -> bytes:
    """The bytes of a request, with the admin key."""
    body = json.dumps(document)
    return (
        f"POST {path} HTTP/1.1\r\nHost: load\r\nX-Scopebound-API-Key: {API_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def answered(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer on a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)


def _requests(server: RunningServer, tool: str, sessions: int) -> list[bytes]:
    """The bytes of one enforce call for each of so many sessions."""
    with server.client() as http:
        http.post("/mgmt/v1/roles", json=_ROLE)  # 409 where it is there already
        tokens = [
            http.post("/v1/provision", json={"role_id": _ROLE["name"]}).json()["jwt"]
            for _ in range(sessions)
        ]
    bodies = [{"jwt": jwt, "tool_name": tool, "call_args": {}} for jwt in tokens]
    return [posted("/v1/enforce", body) for body in bodies]
