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
# In which the rest of a request comes that is in the network already.
_MOMENT: Final = 0.02
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

    It waits in one of the `places` that all connections of a worker share, so that peers who send
    or take by halves do not hold all threads. Where none is free it waits for a moment only, in
    which what is on its way arrives.
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
        try:
            if given is None:
                return super().recv(size, flags | socket.MSG_DONTWAIT)
            with self._timed(0.0):
                return super().recv(size, flags)
        except BlockingIOError as error:
            left = self.deadline - time.monotonic()
            if left <= 0 or given == 0:
                raise self._late("nothing came before the deadline; send it faster") from error
        with self._waiting(left if given is None else min(left, given)) as has_place:
            try:
                return super().recv(size, flags)
            except TimeoutError as error:
                why = "nothing came before the deadline; send it faster"
                if not has_place:
                    why = "too many others send theirs by halves; send it in one piece"
                raise self._late(why) from error

    def _late(self, why: str) -> OSError:
        if self.deadline == self.arrived + HEADER_SECONDS:
            return ConnectionResetError(errno.ECONNRESET, "half a request arrived")
        return TimeoutError(why)

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
    def _waiting(self, seconds: float) -> Iterator[bool]:
        """Each operation in the block takes so long at most; whether it has one of the places."""
        has_place = self.places is None or self.places.acquire(blocking=False)
        try:
            with baton.lent(), self._timed(seconds if has_place else min(seconds, _MOMENT)):
                yield has_place
        finally:
            if has_place and self.places is not None:
                self.places.release()

    @contextmanager
    def _timed(self, seconds: float) -> Iterator[None]:
        given = self.gettimeout()
        self.settimeout(seconds)
        try:
            yield
        finally:
            self.settimeout(given)


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
