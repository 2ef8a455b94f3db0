"""A loader against servers that do as they are told."""

import asyncio
import io
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from tests.rig import load
from tests.rig.history import ALLOW, Answer
from tests.rig.load import BRIEF, MOST, Line, Loader
from tests.rig.mix import CALLS, NUMBER, Call

KINDS = [
    {"share": 1, "sessions": ["one"], "requests": [Call("clerk", "read").request("t").decode()]}
]
ALLOWED = {"decision": ALLOW, "decision_id": "id", "bundle_generation": 3, "latency_ms": 1.5}
LATE = {"decision": "deny", "deny_code": "LATE"}

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer_of(said: dict[str, Any], head: str = "") -> bytes:
    body = json.dumps(said)
    return f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def asked(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = re.findall(rb"Content-Length: (\d+)", head)
    return await reader.readexactly(int(length))


def history(serve: Serve, seconds: float, place: int = MOST) -> list[Answer]:
    """What one line wrote down in so many seconds, a call every 20 ms."""
    out = io.BytesIO()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        line = Line(Loader(KINDS, out, 1, 7), 0, f"http://127.0.0.1:{port}", 0.02, place)
        line.start(0.0)
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            await load._looked([line])
        line.stopping = True
        server.close()

    asyncio.run(run())
    return [Answer._make(orjson.loads(row)) for row in out.getvalue().splitlines()]


def test_what_is_answered_is_written_down() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await asked(reader):
            writer.write(answer_of(ALLOWED, 'RateLimit: "minute";r=4;t=12, "hour";r=2;t=9\r\n'))

    first, second, *_ = history(serve, 0.3)
    assert first[:4] == (7, 0, "one", 0)
    assert (first.status, first.said, first.id, first.generation) == (200, ALLOW, "id", 3)
    assert first.remaining == 2
    assert second.number == 8
    assert 0.015 < second.begun - first.begun < 0.2


def test_a_late_answer_is_not_taken_for_that_to_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller breaks off, and its next call goes over another connection."""
    monkeypatch.setattr(load, "PATIENCE", 0.1)
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        is_first = len(connections) == 1
        while await asked(reader):
            await asyncio.sleep(0.3 if is_first else 0)
            writer.write(
                answer_of({"decision": "deny", "deny_code": "LATE"} if is_first else ALLOWED)
            )

    first, *others = history(serve, 0.6)
    assert (first.status, first.said) == (0, "")
    assert 0.1 < first.ended - first.begun < 0.3
    assert {other.said for other in others} == {ALLOW}


def test_a_connection_that_breaks_is_no_answer_and_is_made_again() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(answer_of(ALLOWED))
        await asked(reader)
        writer.transport.abort()

    statuses = [each.status for each in history(serve, 0.5)]
    assert statuses[:4] == [200, 0, 200, 0]


@pytest.mark.parametrize(("place", "at_least"), [(BRIEF, 4), (MOST, 1)])
def test_a_brief_caller_makes_a_connection_for_each_call(place: int, at_least: int) -> None:
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while not reader.at_eof() and await asked(reader):
            writer.write(answer_of(ALLOWED))

    made = history(serve, 0.3, place)
    assert {each.status for each in made} == {200}
    assert len(connections) >= at_least
    assert (len(connections) == 1) is (place == MOST)


def test_requests_have_room_for_the_number_of_a_call_that_is_named() -> None:
    for call in CALLS:
        assert (NUMBER in call.request("token")) is call.named
