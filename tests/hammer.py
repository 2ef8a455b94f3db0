"""Many calls at once, as fast as they are answered, and what was answered to each.

A closed model: each connection sends its next call when the last one is answered. All times are of
`time.monotonic()`, one clock for every process of the machine.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.load import answered
from tests.servers import RunningServer


@dataclass(frozen=True)
class Sent:
    """A request about a session, to the server of that number, and what came of it.

    `status` 0: the connection broke before an answer.
    """

    session: str
    server: int
    begun: float
    ended: float
    status: int
    body: bytes

    @cached_property
    def said(self) -> dict[str, Any]:
        """The answer's JSON; empty where there is none."""
        said: dict[str, Any] = json.loads(self.body) if self.status else {}
        return said

    @property
    def outcome(self) -> str:
        """`allow`, the code of a denial, or the status of another answer."""
        return str(self.said.get("deny_code") or self.said.get("decision") or self.status)


def hammer(
    servers: Sequence[RunningServer], requests: Iterable[tuple[str, bytes]], *, lines: int = 8
) -> list[Sent]:
    """Send each request, given with its session, over one of `lines` connections to each server.

    Whichever connection is free takes the next, so that neighbours meet on all servers.
    """
    waiting = iter(requests)
    history: list[Sent] = []

    async def run() -> None:
        await asyncio.gather(
            *(
                _line(number, server, waiting, history)
                for _ in range(lines)
                for number, server in enumerate(servers)
            )
        )

    asyncio.run(run())
    return history


async def _line(
    number: int,
    server: RunningServer,
    waiting: Iterator[tuple[str, bytes]],
    history: list[Sent],
) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for session, request in waiting:
        begun = time.monotonic()
        try:
            stream = stream or await asyncio.open_connection(host, int(port))
            stream[1].write(request)
            status, body = await answered(stream[0])
        except (OSError, asyncio.IncompleteReadError):
            if stream is not None:
                stream[1].close()
            stream, status, body = None, 0, b""
        history.append(Sent(session, number, begun, time.monotonic(), status, body))
    if stream is not None:
        stream[1].close()
