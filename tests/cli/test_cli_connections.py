"""The server's end of a connection: all its receives together end at one deadline."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from scopebound_engine import baton
from scopebound_engine.cli.connections import HEADER_SECONDS, Connection, TimedSocket


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


@pytest.fixture
def tcp() -> Iterator[tuple[socket.socket, TimedSocket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server = TimedSocket(fileno=listener.accept()[0].detach())
        with client, server:
            yield client, server


def test_a_request_counts_from_when_it_came_though_nobody_took_it_up(
    tcp: tuple[socket.socket, TimedSocket],
) -> None:
    client, server = tcp
    client.sendall(b"x")
    sent = time.monotonic()
    time.sleep(0.2)
    server.begin()
    assert server.arrived == pytest.approx(sent, abs=0.03)
    assert server.deadline == server.arrived + HEADER_SECONDS
    assert server.recv(10) == b"x"


def test_half_a_request_ends_as_if_its_peer_had_left(
    tcp: tuple[socket.socket, TimedSocket],
) -> None:
    client, server = tcp
    client.sendall(b"GET")
    server.begin()
    assert server.recv(10) == b"GET"
    with pytest.raises(ConnectionResetError):
        server.recv(10)
    assert time.monotonic() >= server.arrived + HEADER_SECONDS


def test_a_request_that_is_taken_up_at_once_has_not_waited(
    tcp: tuple[socket.socket, TimedSocket],
) -> None:
    client, server = tcp
    for _ in range(50):
        client.sendall(b"x")
        before = time.monotonic()
        server.begin()
        assert server.arrived >= before
        server.recv(10)


def test_the_head_of_an_answer_goes_out_with_its_body(
    tcp: tuple[socket.socket, TimedSocket],
) -> None:
    client, server = tcp
    client.setblocking(False)
    server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    with pytest.raises(BlockingIOError):
        client.recv(100)
    server.sendall(b"ok")
    assert client.recv(100) == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    server.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    server.flush()
    assert client.recv(100) == b"HTTP/1.1 204 No Content\r\n\r\n"
    server.flush()
    with pytest.raises(BlockingIOError):
        client.recv(100)


def test_a_peer_that_takes_nothing_of_an_answer_is_not_waited_for_for_ever(
    tcp: tuple[socket.socket, TimedSocket],
) -> None:
    client, server = tcp
    server.patience = 0.2
    other = threading.Event()

    def compute() -> None:
        baton.take()
        other.set()
        baton.leave()

    baton.take()
    threading.Timer(0.05, compute).start()
    started = time.monotonic()
    with pytest.raises(BrokenPipeError):
        server.sendall(b"x" * (64 << 20))
    baton.leave()
    assert other.is_set()
    assert 0.2 <= time.monotonic() - started < 2
    assert client.recv(1) == b"x"


def test_a_peer_that_is_slow_gets_the_whole_answer(tcp: tuple[socket.socket, TimedSocket]) -> None:
    client, server = tcp
    server.patience = 1.0
    received = bytearray()

    def take() -> None:
        while piece := client.recv(1 << 20):
            received.extend(piece)
            time.sleep(0.01)

    taking = threading.Thread(target=take)
    taking.start()
    answer = bytes(range(256)) * (1 << 16)
    server.sendall(answer)
    server.close()
    taking.join()
    assert received == answer
