"""Webhooks of a real server: denials arrive, and a dead receiver costs no decision anything.

SCOPEBOUND_TEST_DENIALS=10000 measures at length.
"""

import os
import signal
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from scopebound_engine import webhook
from scopebound_engine.database.engine import open_database
from scopebound_engine.webhook.queue import Queue
from tests.load import latency
from tests.processes import descendants, wait_until_gone
from tests.recording import lines_of
from tests.servers import RunningServer, serving
from tests.watching import is_well, metrics, until
from tests.webhook.delivering import SECRET
from tests.webhook.receivers import Receiver, receiving

DENIALS = int(os.environ.get("SCOPEBOUND_TEST_DENIALS", "400"))
ROUNDS = 4
MOST_RATIO = 1.5
WAITING = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("webhooks") / "data"
    local = {"webhook_allow_http": "true", "webhook_networks": "127.0.0.0/8"}
    # So that what is not accepted goes on to wait for minutes.
    local["webhook_attempts"] = "8"
    with serving(folder, workers=1, **local) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def agent(http: httpx.Client, name: str, **fields: Any) -> tuple[str, str]:
    """The id of a new role, and the token of a session."""
    body = {"name": name, "allowed_tools": ["read"], **fields}
    role_id = http.post("/mgmt/v1/roles", json=body).json()["id"]
    return role_id, str(http.post("/v1/provision", json={"role_id": role_id}).json()["jwt"])


def denied(http: httpx.Client, jwt: str, tool: str) -> float:
    """Have a call of a tool denied; how many seconds that took."""
    body = {"jwt": jwt, "tool_name": tool, "call_args": {}}
    began = time.perf_counter()
    answer = http.post("/v1/enforce", json=body)
    passed = time.perf_counter() - began
    assert answer.json()["deny_code"] == "SCOPE_VIOLATION"
    return passed


def test_a_denial_reaches_its_receiver_within_seconds(
    server: RunningServer, receiver: Receiver
) -> None:
    with server.client() as http:
        _, jwt = agent(http, "told", webhook_url=receiver.url(), webhook_secret=SECRET)
        for path, tool in (("/v1/enforce", "delete"), ("/v1/mcp/enforce", "drop")):
            body = {"jwt": jwt, "tool_name": tool, "call_args": {}, "mcp_server": "files"}
            assert http.post(path, json=body).json()["decision"] == "deny"
        received = receiver.await_count(2, 30)
        for one, tool in zip(received, ("delete", "drop"), strict=True):
            assert webhook.verify(SECRET, one.body, one.headers)
            assert one.payload["tool_name"] == tool
        record = http.get(f"/mgmt/v1/decisions/{received[0].headers['webhook-id']}").json()
        assert record["record"]["tool_name"] == "delete"
    assert SECRET.encode() not in b"".join(lines_of(server.data_dir))


def test_what_waits_is_counted_until_it_is_delivered(
    server: RunningServer, receiver: Receiver
) -> None:
    receiver.status = 500
    with server.client() as http:
        _, jwt = agent(http, "waiting", webhook_url=receiver.url())
        for number in range(WAITING):
            denied(http, jwt, f"tool-{number}")
    until(lambda: metrics(server)["webhook_queue"] == WAITING)
    assert metrics(server)["webhook_age_seconds"] > 0
    receiver.status = 204
    until(lambda: metrics(server)["webhook_queue"] == 0, 90)
    assert metrics(server)["webhook_age_seconds"] == 0
    told = {one.headers["webhook-id"]: one.payload["tool_name"] for one in receiver.received}
    assert list(told.values()) == [f"tool-{number}" for number in range(WAITING)]
    until(lambda: is_well(server))


def test_a_clerk_that_ends_lets_what_is_under_way_arrive(
    server: RunningServer, receiver: Receiver
) -> None:
    def late(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.8)
        handler.send_response(204)
        handler.end_headers()

    receiver.answer = late
    with server.client() as http:
        _, jwt = agent(http, "under way", webhook_url=receiver.url())
        denied(http, jwt, "delete")
    receiver.await_count(1)
    found = descendants(server.process.pid).items()
    [clerk] = [pid for pid, line in found if "scopebound_engine.clerk" in line]
    os.kill(clerk, signal.SIGTERM)
    assert wait_until_gone({clerk}, 5) == set()
    engine = open_database(None, server.data_dir)
    assert Queue(engine).pending() == 0
    engine.dispose()
    assert len(receiver.received) == 1


def test_a_dead_receiver_does_not_delay_decisions(
    server: RunningServer, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same role with a receiver that never answers and without one, in turn."""
    receiver.answer = lambda _handler: time.sleep(60)
    before = metrics(server)
    dead: list[float] = []
    none: list[float] = []
    with server.client() as http:
        role_id, jwt = agent(http, "unheard")
        for number in range(ROUNDS * 2):
            url, seconds = (receiver.url(), dead) if number % 2 else ("", none)
            http.put(f"/mgmt/v1/roles/{role_id}", json={"webhook_url": url})
            for call in range(DENIALS // ROUNDS):
                seconds.append(denied(http, jwt, f"tool-{number}-{call}"))
    assert receiver.await_count(1, 30)
    ratio = latency(dead).p50 / latency(none).p50
    with capsys.disabled():
        print(f"\n{len(dead)} denials with a dead receiver: {latency(dead)}, with none: ", end="")
        print(f"{latency(none)}; ratio at p50 {ratio:.2f}")
    assert ratio < MOST_RATIO
    assert metrics(server).decisions - before.decisions == {
        "SCOPE_VIOLATION": len(dead) + len(none)
    }
    until(lambda: is_outstanding(server))
    with server.client() as http:
        http.put(f"/mgmt/v1/roles/{role_id}", json={"webhook_url": ""})
    until(lambda: metrics(server)["webhook_queue"] == 0, 90)
    until(lambda: is_well(server))


def is_outstanding(server: RunningServer) -> bool:
    """Whether what is counted as waiting is what waits."""
    counted, engine = metrics(server)["webhook_queue"], open_database(None, server.data_dir)
    waiting = Queue(engine).pending()
    engine.dispose()
    return counted == waiting > 0
