"""Whoever delivers may be killed at any moment: nothing is lost, and what comes again says so."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.webhook.delivering import Node
from tests.webhook.receivers import Receiver, receiving

KILLS = 2


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def node(database: Engine, tmp_path: Path) -> Node:
    return Node(database, tmp_path)


@contextmanager
def delivering(folder: Path, url: str | None) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that delivers, killed at the end of the block."""
    command = [sys.executable, "-m", "tests.webhook.deliverer", str(folder)]
    process = subprocess.Popen([*command, *([url] if url else [])])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def accept_slowly(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.02)
    handler.send_response(204)
    handler.end_headers()


def test_one_killed_between_a_delivery_and_its_note_leaves_it_to_the_next(
    node: Node, receiver: Receiver, tmp_path: Path, database_url: str | None
) -> None:
    came, go = threading.Event(), threading.Event()

    def wait(handler: BaseHTTPRequestHandler) -> None:
        came.set()
        go.wait(10)
        handler.send_response(204)
        handler.end_headers()

    receiver.answer = wait
    node.deny(node.role(receiver.url()), 2)
    with delivering(tmp_path, database_url):
        assert came.wait(20)
    go.set()
    assert node.queue.pending() == 2
    with delivering(tmp_path, database_url):
        first, again, last = receiver.await_count(3)
        ends = time.monotonic() + 10
        while node.queue.pending() and time.monotonic() < ends:
            time.sleep(0.05)
    assert node.queue.pending() == 0
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body != last.body


def test_whenever_it_is_killed_each_comes_at_least_once_and_in_order(
    node: Node, receiver: Receiver, tmp_path: Path, database_url: str | None
) -> None:
    chance = random.Random(7)
    receiver.answer = accept_slowly
    node.deny(node.role(receiver.url()), 30)
    for _ in range(KILLS):
        before = len(receiver.received)
        with delivering(tmp_path, database_url):
            receiver.await_count(before + 1)
            time.sleep(chance.uniform(0, 0.2))
    with delivering(tmp_path, database_url):
        ends = time.monotonic() + 30
        while node.queue.pending():
            assert time.monotonic() < ends
            time.sleep(0.05)
    sessions = [one.payload["session_id"] for one in receiver.received]
    assert list(dict.fromkeys(sessions)) == [f"session-{number}" for number in range(1, 31)]
    assert sessions == sorted(sessions, key=lambda one: int(one.removeprefix("session-")))
    ids = {(one.headers["webhook-id"], one.body) for one in receiver.received}
    assert len(ids) == 30
    assert len(sessions) <= 30 + KILLS
