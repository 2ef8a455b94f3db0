"""Calls of every kind, one after another over a few connections, until told to end.

Sessions come and go, arguments are never the same, some calls are denied and some requests are
unfit: whatever keeps something of each of them grows under this load.
"""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from tests.bench.footprint import footprints
from tests.bench.scenario import ARGUMENTS, ROLE
from tests.load import posted
from tests.servers import RunningServer

CONNECTIONS = 4
# Of sessions, whose tokens take 4 KB each with their claims.
_BATCH = 2_000
_FULL_BYTES = 2 << 20
_CALLS_PER_SESSION = 200
_EXPECTED = {"allow", "SCOPE_VIOLATION", "PARAMETER_VIOLATION", "REQUEST_INVALID", "POLICY_ERROR"}


def make_role(server: RunningServer) -> None:
    """The role of all sessions, which has to be there before any."""
    with server.client() as http:
        http.post("/mgmt/v1/roles", json=ROLE).raise_for_status()


def fill(server: RunningServer) -> int:
    """Let workers remember as many tokens as they ever do; the sessions that it took.

    What they remember is bounded by the bytes of tokens (`REMEMBERED_BYTES`), and would fill all
    through a run. Sessions are made until a batch of them leaves next to nothing.
    """
    made, before, held = 0, 0, _held(server)
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        while held > before + _FULL_BYTES:
            list(threads.map(lambda _: _new_session(server), range(_BATCH)))
            made, before, held = made + _BATCH, held, _held(server)
    return made


def _held(server: RunningServer) -> int:
    return footprints(server.process.pid)["worker"].anonymous


def _new_session(server: RunningServer) -> None:
    """A session and its first call, over a connection of its own, for either worker to take."""
    with _connected(server) as connection:
        token = _asked(connection, posted("/v1/provision", {"role_id": ROLE["name"]}))["jwt"]
    call = {"jwt": token, "tool_name": "none", "call_args": {}}
    with _connected(server) as connection:
        _outcome(_asked(connection, posted("/v1/enforce", call)))


def _connected(server: RunningServer) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


class Traffic:
    """A closed model while the block lasts; `requests` counts what was answered so far."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._answered = [0] * CONNECTIONS
        self._outcomes: list[Counter[str]] = [Counter() for _ in range(CONNECTIONS)]
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._line, args=(number,)) for number in range(CONNECTIONS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def requests(self) -> int:
        """How many were answered."""
        return sum(self._answered)

    @property
    def outcomes(self) -> Counter[str]:
        """How often each answer came, `allow` or the code of a denial."""
        return sum(self._outcomes, Counter[str]())

    def wait_for(self, requests: int) -> None:
        """Return when so many were answered. Raises AssertionError where none come any more."""
        while self.requests < requests:
            assert all(thread.is_alive() for thread in self._threads), "a connection broke"
            time.sleep(0.02)

    def _line(self, number: int) -> None:
        with _connected(self._server) as connection:
            while not self._stopping.is_set():
                answer = _asked(connection, posted("/v1/provision", {"role_id": ROLE["name"]}))
                for call in _calls(answer["jwt"]):
                    if self._stopping.is_set():
                        break
                    said = _asked(connection, posted("/v1/enforce", call))
                    self._outcomes[number][_outcome(said)] += 1
                    self._answered[number] += 1


def _calls(token: str) -> Iterator[dict[str, object]]:
    """The calls of one session: of 16 two are denied and one is unfit to be judged."""
    for number in range(_CALLS_PER_SESSION):
        note = f"{token[-8:]}-{number}"
        call = {
            "jwt": token,
            "tool_name": "read_invoices",
            "call_args": {**ARGUMENTS, "note": note},
        }
        match number % 16:
            case 3:
                yield call | {"call_args": {**ARGUMENTS, "amount": 60_000, "note": note}}
            case 7:
                yield call | {"tool_name": f"drop_{note}"}
            case 11:
                yield call | {"call_args": [note]}
            case 14:
                yield call | {"call_id": note}
            case _:
                yield call


def _outcome(said: dict[str, str]) -> str:
    outcome = said.get("deny_code") or said["decision"]
    assert outcome in _EXPECTED, said
    return outcome


def _asked(connection: socket.socket, request: bytes) -> dict[str, str]:
    """The answer's JSON. Raises OSError, and AssertionError where the connection ends."""
    connection.sendall(request)
    answer = b""
    while True:
        head, found, body = answer.partition(b"\r\n\r\n")
        if found:
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            if len(body) == length:
                said: dict[str, str] = json.loads(body)
                return said
        piece = connection.recv(65536)
        assert piece, "the server closed the connection"
        answer += piece
