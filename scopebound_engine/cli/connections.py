"""A peer's connection as the worker holds it: timed when it receives, answering in one packet."""

import errno
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from gunicorn.workers.gthread import TConn

from scopebound_engine import baton

# For request line and headers; the application sets the deadline of the body.
HEADER_SECONDS: Final = 1.0
# A peer that takes nothing of its answer for so long gets no more of it.
SENDING_SECONDS: Final = 30.0
# `tcpi_last_data_recv` of Linux' struct tcp_info (linux/tcp.h): the milliseconds since bytes came.
_TCP_INFO_BYTES: Final = 56
_SINCE_DATA: Final = struct.Struct("=52xI")
# The kernel counts them in its ticks, of up to 10 ms; a request that was taken at once waited 0.
_TICK_MS: Final = 12
_HEAD, _END_OF_HEAD = b"HTTP/", b"\r\n\r\n"


class TimedSocket(socket.socket):
    """A connection that knows when its request arrived, and its receiving deadline.

    Both are times of `time.monotonic()`; without a deadline it waits for ever. For a peer that
    takes nothing of what is sent it waits `patience` seconds, and raises BrokenPipeError.

    It waits in one of the `places` that all connections of a worker share. Where none is free its
    time is over: peers who send or take by halves never hold all threads.
    """

    places: threading.Semaphore | None = None
    arrived: float = 0.0
    deadline: float | None = None
    patience: float = SENDING_SECONDS
    _head: bytes = b""

    def begin(self) -> None:
        """A request is there: its time counts from when it came, not from when it was taken up."""
        info = self.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        (waited,) = _SINCE_DATA.unpack(info)
        self.arrived = time.monotonic() - (waited / 1000 if waited > _TICK_MS else 0.0)
        self.deadline = self.arrived + HEADER_SECONDS

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As a socket's. Past the deadline it gives what has arrived, or raises TimeoutError.

        A request that waited for its turn is there although its time is over, and is answered. Of
        half a request it raises ConnectionResetError, as gunicorn logs others with a traceback.
        """
        if self.deadline is None:
            return super().recv(size, flags)
        given = self.gettimeout()
        if given is None:
            try:
                return super().recv(size, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass  # what is missing is waited for
        left = max(0.0, self.deadline - time.monotonic())
        try:
            with self._waiting(left if given is None else min(left, given)):
                return super().recv(size, flags)
        except (BlockingIOError, TimeoutError) as error:
            if self.deadline == self.arrived + HEADER_SECONDS:
                raise ConnectionResetError(errno.ECONNRESET, "half a request arrived") from error
            raise TimeoutError("nothing arrived before the deadline") from error

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As a socket's, but the head of an answer waits for its body, or for `flush`.

        gunicorn sends them one after the other: the peer is woken twice, and reads twice.
        """
        if not self._head and data[:5] == _HEAD and data[-4:] == _END_OF_HEAD:
            self._head = bytes(data)
            return
        head, self._head = self._head, b""
        self._send(head + data if head else data, flags)

    def flush(self) -> None:
        """Send the head of an answer that has no body."""
        if self._head:
            self.sendall(b"")

    def _send(self, data: Any, flags: int) -> None:
        if self.gettimeout() is not None:
            super().sendall(data, flags)
            return
        sent = 0
        with suppress(BlockingIOError):
            sent = self.send(data, flags | socket.MSG_DONTWAIT)
        if sent < len(data):
            self._send_slowly(memoryview(data)[sent:], flags)

    def _send_slowly(self, data: memoryview, flags: int) -> None:
        try:
            with self._waiting(self.patience):
                while data:
                    data = data[self.send(data, flags) :]
        except TimeoutError as error:
            raise BrokenPipeError(errno.EPIPE, "the peer takes nothing of its answer") from error

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[None]:
        """Each operation in the block takes so long at most. Raises TimeoutError."""
        if self.places is not None and not self.places.acquire(blocking=False):
            raise TimeoutError("too many other peers are waited for")
        given = self.gettimeout()
        self.settimeout(seconds)
        try:
            with baton.lent():
                yield
        finally:
            self.settimeout(given)
            if self.places is not None:
                self.places.release()


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection whose end nobody waits for.

    gunicorn's own waits up to 2 s for the peer's end. What of a request was not read has been
    drained before (`api/body.py`).
    """

    # It is given to a thread only when bytes are there.
    data_ready: bool

    def close(self, graceful: bool = False) -> None:
        """Close it; what has arrived is taken from the kernel, which would reset it otherwise."""
        if self.sock.fileno() < 0:
            return  # gunicorn did, where an answer broke off
        if graceful:
            self.sock.deadline = 0.0
        super().close(graceful)
