"""The server's end of a connection: all its receives together end at one deadline."""

import socket
import threading
import time

import pytest

from scopebound_engine.cli.worker import TimedSocket


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
    with pytest.raises((TimeoutError, BlockingIOError)):
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
    with pytest.raises(BlockingIOError):
        server.recv(10)
