"""A loader: calls over a few connections to each node, and a history of what was answered.

Run as a process of its own, until its standard input is closed:

    python -m tests.rig.load PLAN HISTORY SEED FIRST RATE LINES URL...

Each connection sends a call, waits for the answer, and sends the next when its turn has come: the
calls of all connections together come at most at the rate. Callers wait 2 s, as the published
client does, and then break off. One of each node waits long enough to see what is answered to calls
that were caught in a process that stood still; another one makes a connection for each call, which
whoever is there accepts.
"""

import asyncio
import json
import random
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from tests.rig.history import ALLOW, NOTHING, UNDECIDED, Answer
from tests.rig.mix import NUMBER

PATIENCE, LONG_PATIENCE = 2.0, 20.0
LOOK, AGAIN = 0.05, 0.05
# The places of the callers to a node that wait long, or make a connection for each call.
PATIENT, BRIEF, MOST = range(3)


class Loader:
    """The connections, what they send, and the file they write to."""

    def __init__(self, kinds: list[dict[str, Any]], out: BinaryIO, seed: int, first: int) -> None:
        self._rng, self._numbers, self._out = random.Random(seed), count(first), out
        self._calls = [
            (kind, session, request.encode())
            for kind, made in enumerate(kinds)
            for session, request in zip(made["sessions"], made["requests"], strict=True)
        ]
        shares = [made["share"] / len(made["sessions"]) for made in kinds for _ in made["sessions"]]
        self._weights = list(_sums(shares))

    def next(self) -> tuple[int, int, str, bytes]:
        """A call: its number, kind, session and request."""
        number = next(self._numbers)
        [(kind, session, request)] = self._rng.choices(self._calls, cum_weights=self._weights)
        return number, kind, session, request.replace(NUMBER, b"%012d" % number)

    def keep(self, answer: Answer) -> None:
        """Write an answer down."""
        self._out.write(orjson.dumps(tuple(answer)) + b"\n")


def _sums(shares: list[float]) -> list[float]:
    total, found = 0.0, []
    for share in shares:
        total += share
        found.append(total)
    return found


class Line:
    """One connection after the other to one node, with one call at a time."""

    def __init__(
        self, loader: Loader, node: int, url: str, period: float, place: int = MOST
    ) -> None:
        """A call every `period` seconds. `place` among those to the node makes it peculiar."""
        self._loader, self._node, self._period = loader, node, period
        self._patience = LONG_PATIENCE if place == PATIENT else PATIENCE
        self._is_brief = place == BRIEF
        host, port = url.removeprefix("http://").split(":")
        self._address = (host, int(port))
        self._loop = asyncio.get_running_loop()
        self._stream: Stream | None = None
        self._call: tuple[int, int, str, bytes] | None = None
        self._begun = self._due = 0.0
        self.stopping = False

    def start(self, delay: float) -> None:
        """Send the first call after so many seconds."""
        self._due = time.monotonic() + delay
        self._loop.call_later(delay, self._send)

    @property
    def is_idle(self) -> bool:
        return self._call is None

    def look(self, now: float) -> None:
        """Break off a call that took too long."""
        if self._call is not None and now - self._begun > self._patience:
            self._broken()

    def lost(self, stream: "Stream") -> None:
        """A connection is no more; nobody cares where another has taken its place."""
        if stream is self._stream:
            self._broken()

    def _send(self) -> None:
        if self.stopping:
            return
        self._call, self._begun = self._loader.next(), time.monotonic()
        if self._stream is None:
            self._stream = Stream(self, self._call[3])
            self._stream.connecting = self._loop.create_task(self._connect(self._stream))
        else:
            self._stream.send(self._call[3])

    async def _connect(self, stream: "Stream") -> None:
        try:
            await self._loop.create_connection(lambda: stream, *self._address)
        except OSError:
            self.lost(stream)

    def _broken(self) -> None:
        """No answer came, and over this connection none will."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        if self._call is not None:
            self.over(0, b"", b"")

    def over(self, status: int, head: bytes, body: bytes) -> None:
        """A call came to its end; the next one is sent when it is due."""
        assert self._call is not None
        (number, kind, session, _), now = self._call, time.monotonic()
        self._call = None
        if self._is_brief and self._stream is not None:
            self._stream.close()
            self._stream = None
        said = orjson.loads(body) if status else {}
        self._loader.keep(
            Answer(
                number, kind, session, self._node, self._begun, now, status,
                _outcome(said), said.get("decision_id", ""), said.get("bundle_generation", 0),
                said.get("bundle_checksum", ""), _remaining(head), said.get("replayed", False),
                said.get("latency_ms", 0.0), _reason(said),
            )
        )  # fmt: skip
        self._due = max(self._due + self._period, now if status else now + AGAIN)
        self._loop.call_later(max(0.0, self._due - now), self._send)


class Stream(asyncio.Protocol):
    """A connection of a line."""

    connecting: asyncio.Task[None]

    def __init__(self, line: Line, first: bytes) -> None:
        self._line, self._first, self._buffer = line, first, b""
        self._transport: asyncio.Transport | None = None

    def send(self, request: bytes) -> None:
        """Send the next call."""
        assert self._transport is not None
        self._transport.write(request)

    def close(self) -> None:
        """Reset it, whatever is under way."""
        self.connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._first)

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.lost(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found or self._line.is_idle:
            return
        head = head.lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(rest) >= length:
            self._buffer = b""
            self._line.over(int(head.split(b" ", 2)[1]), head, rest)


def _outcome(said: dict[str, Any]) -> str:
    if said.get("decision") == ALLOW:
        return ALLOW
    return str(said.get("deny_code", NOTHING))


def _reason(said: dict[str, Any]) -> str:
    return str(said["reason"]) if said.get("deny_code") == UNDECIDED else ""


def _remaining(head: bytes) -> int:
    """The smallest of a RateLimit header; -1 without one."""
    fields = head.partition(b"\r\nratelimit:")[2].split(b"\r\n", 1)[0].split(b";r=")[1:]
    return min((int(each.split(b";")[0].split(b",")[0]) for each in fields), default=-1)


async def run(loader: Loader, rate: float, lines: int, urls: list[str]) -> None:
    """Load until the standard input is closed, and then until the calls on their way are over."""
    period = lines * len(urls) / rate
    made = [
        Line(loader, node, url, period, place)
        for place in range(lines)
        for node, url in enumerate(urls)
    ]
    for place, line in enumerate(made):
        line.start(period * place / len(made))
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    while not ended.done():
        await _looked(made)
    for line in made:
        line.stopping = True
    while not all(line.is_idle for line in made):
        await _looked(made)


async def _looked(lines: list[Line]) -> None:
    await asyncio.sleep(LOOK)
    now = time.monotonic()
    for line in lines:
        line.look(now)


def main() -> None:
    plan, history, seed, first, rate, lines, *urls = sys.argv[1:]
    with Path(history).open("wb", buffering=1 << 18) as out:
        loader = Loader(json.loads(Path(plan).read_text()), out, int(seed), int(first))
        asyncio.run(run(loader, float(rate), int(lines), urls))


if __name__ == "__main__":
    main()
