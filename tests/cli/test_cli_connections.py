"""The server's end of a connection: all its receives together end at one deadline."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from gunicorn.config import Config

from scopebound_engine import baton
from scopebound_engine.cli.connections import HEADER_SECONDS, Connection, TimedSocket

LONG = 10.0


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


def test_peers_that_are_slow_share_the_places_in_which_they_are_waited_for() -> None:
    places = Places()
    with ExitStack() as stack:
        peers, servers = zip(*(stack.enter_context(timed(places)) for _ in range(3)), strict=True)
        waiting = threading.Thread(target=servers[0].recv, args=(10,))
        waiting.start()
        assert places.taken.wait(LONG)
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="in one piece"):
            servers[1].recv(10)
        with pytest.raises(BrokenPipeError):
            servers[1].sendall(bytes(64 << 20))
        assert time.monotonic() - began < LONG / 2
        peers[2].sendall(b"all is there")
        assert servers[2].recv(100) == b"all is there"
        threading.Timer(0.002, peers[2].sendall, (b"and the rest is on its way",)).start()
        assert servers[2].recv(100) == b"and the rest is on its way"
        peers[0].sendall(b"x")
        waiting.join()
        peers[1].sendall(b"x")
        assert servers[1].recv(10) == b"x"
    assert places.acquire(blocking=False)


def test_without_a_place_what_has_arrived_is_taken_before_a_connection_is_closed() -> None:
    with timed(threading.Semaphore(0)) as (client, server):
        client.sendall(b"x" * 1000)
        Connection(Config(), server, None, None).close(graceful=True)
        assert client.recv(1) == b""


def test_a_place_is_given_back_whatever_becomes_of_the_connection() -> None:
    places = threading.Semaphore(1)
    with timed(places) as (_, server):
        threading.Timer(0.02, server.shutdown, (socket.SHUT_RDWR,)).start()
        assert server.recv(10) == b""
        server.close()
        with pytest.raises(OSError, match="Bad file"):
            server.recv(10)
    assert places.acquire(blocking=False)


class Places(threading.Semaphore):
    """One, which tells when it is taken."""

    def __init__(self) -> None:
        super().__init__(1)
        self.taken = threading.Event()

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        is_mine = super().acquire(blocking, timeout)
        self.taken.set()
        return is_mine


@contextmanager
def timed(places: threading.Semaphore) -> Iterator[tuple[socket.socket, TimedSocket]]:
    """Both ends of a connection whose deadline is far away."""
    client, server = socket.socketpair()
    with client, TimedSocket(fileno=server.detach()) as made:
        made.deadline, made.places = time.monotonic() + LONG, places
        yield client, made
