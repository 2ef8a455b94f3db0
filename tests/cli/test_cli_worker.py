"""The server's end of a connection: all its receives together end at one deadline."""

import socket
import threading
import time

import pytest
from gunicorn.config import Config

from scopebound_engine.cli.worker import Connection, TimedSocket


@pytest.fixture
def pair() -> tuple[socket.socket, TimedSocket]:
    client, server = socket.socketpair()
    return client, TimedSocket(fileno=server.detach())


def test_without_a_deadline_it_receives_as_any_socket(
    pair: tuple[socket.socket, TimedSocket],
) -> None:
    client, server = pair
    client.sendall(b"x")
    assert server.recv(10) == b"x"


def receive_for_ever(server: TimedSocket) -> None:
    while True:
        server.recv(1)


def test_a_drip_does_not_move_the_deadline(pair: tuple[socket.socket, TimedSocket]) -> None:
    client, server = pair
    stopping = threading.Event()

    def drip() -> None:
        while not stopping.wait(0.02):
            client.sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    started = time.monotonic()
    server.deadline = started + 0.2
    with pytest.raises(TimeoutError):
        receive_for_ever(server)
    assert 0.15 < time.monotonic() - started < 1
    stopping.set()
    dripping.join()


def test_past_its_deadline_it_gives_what_is_there_and_does_not_wait_for_more(
    pair: tuple[socket.socket, TimedSocket],
) -> None:
    client, server = pair
    client.sendall(b"x")
    server.deadline = time.monotonic() - 1
    assert server.recv(10) == b"x"
    with pytest.raises(TimeoutError):
        server.recv(10)


def test_past_its_deadline_a_timeout_makes_it_wait_no_longer(
    pair: tuple[socket.socket, TimedSocket],
) -> None:
    _, server = pair
    started = time.monotonic()
    server.deadline = started - 1
    server.settimeout(5)
    with pytest.raises(TimeoutError):
        server.recv(10)
    assert time.monotonic() - started < 1
    assert server.gettimeout() == 5


def test_to_close_a_connection_waits_for_no_peer(pair: tuple[socket.socket, TimedSocket]) -> None:
    client, server = pair
    client.sendall(b"x" * 1000)
    server.deadline = time.monotonic() + 30
    started = time.monotonic()
    Connection(Config(), server, None, None).close(graceful=True)
    assert time.monotonic() - started < 1
    assert client.recv(1) == b""
