"""Request bodies: read whole, within a limit and a deadline, before anything is answered.

A server that answers and closes while the client still sends resets the connection, and a client
that fails open takes a reset for an allow. So a body over the limit is read to its end (to 64 MiB)
and thrown away, and one that is still on its way at the deadline is drained after the answer. So
are uploads over their limit, which is large: they are refused as soon as they are known to be.
"""

import hashlib
import socket
import time
from collections.abc import Iterator
from typing import Any, Final

import falcon
from gunicorn.http.errors import ParseException

from scopebound_engine import strict_json
from scopebound_engine.api import departure
from scopebound_engine.errors import InputError, LateBodyError, TooLargeError

DRAIN_BYTES: Final = 64 << 20
LINGER_SECONDS: Final = 2.0
MANAGEMENT_BODY_BYTES: Final = 1 << 20
MANAGEMENT_SECONDS: Final = 10.0
_PIECE: Final = 64 << 10
# What the server raises where chunks are no chunks, or the client is gone.
_BROKEN: Final = (ParseException, OSError)


def arrived(req: falcon.Request) -> float:
    """When the request began to arrive, by `time.monotonic()`; now, if the server cannot tell."""
    connection = req.env.get("gunicorn.socket")
    came: float | None = getattr(connection, "arrived", None)
    return time.monotonic() if came is None else came


def read(req: falcon.Request, limit: int, deadline: float, *, to_the_end: bool = True) -> bytes:
    """The body. Raises TooLargeError, LateBodyError, InputError (it ends early, or is broken).

    One over the limit is read to its end, or refused as soon as it is over or says it will be.
    """
    expected = req.content_length
    if expected is None and not req.env.get("wsgi.input_terminated"):
        return b""
    if not to_the_end and expected is not None and expected > limit:
        req.context.body_unread = True
        raise _too_large(expected, limit)
    _receive_until(req, deadline)
    received = _Received(limit)
    if to_the_end:
        req.context.received = received
    try:
        for piece in _pieces(req, expected):
            received.add(piece)
            if received.size > (DRAIN_BYTES if to_the_end else limit):
                req.context.body_unread = True
                break
    except (TimeoutError, BlockingIOError) as error:
        req.context.body_unread = True
        raise LateBodyError(
            f"the request's body was still arriving when its time was over: {error}"
        ) from error
    except _BROKEN as error:
        raise InputError("", f"the body cannot be read: {error}") from error
    if received.size > limit:
        raise _too_large(received.size, limit)
    if expected is not None and received.size < expected:
        raise InputError("", f"the body ends after {received.size} of {expected} bytes")
    return bytes(received.kept)


def read_json(req: falcon.Request) -> Any:
    """The JSON value of a management request, strictly parsed. Raises InputError."""
    deadline = time.monotonic() + MANAGEMENT_SECONDS
    return strict_json.loads(read(req, MANAGEMENT_BODY_BYTES, deadline))


def digest(req: falcon.Request) -> dict[str, Any] | None:
    """SHA-256 and size of what was read of a body, whole or not; None where nothing was."""
    received: _Received | None = getattr(req.context, "received", None)
    return None if received is None else {"sha256": received.digest(), "bytes": received.size}


def linger(req: falcon.Request) -> None:
    """Once the answer is out, drain what of the body was not read."""
    if getattr(req.context, "body_unread", False):
        departure.then(req, lambda _: _drain(req))


class _Received:
    """What was read of a body; beyond the limit only its digest and size are kept."""

    def __init__(self, limit: int) -> None:
        self._limit, self.kept, self.size = limit, bytearray(), 0
        self._beyond: Any = None

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size <= self._limit:
            self.kept += piece
            return
        self._beyond = self._beyond or hashlib.sha256(self.kept)
        self._beyond.update(piece)

    def digest(self) -> str:
        return str((self._beyond or hashlib.sha256(self.kept)).hexdigest())


def _drain(req: falcon.Request) -> None:
    deadline, size = time.monotonic() + LINGER_SECONDS, 0
    _receive_until(req, deadline)
    try:
        for piece in _pieces(req, None):
            size += len(piece)
            if size > DRAIN_BYTES or time.monotonic() > deadline:
                return
    except _BROKEN:
        # The peer went away or still dawdles: the answer is out, the connection is closed.
        return


def _pieces(req: falcon.Request, expected: int | None) -> Iterator[bytes]:
    stream, left = req.env["wsgi.input"], expected
    while left is None or left > 0:
        piece: bytes = stream.read(_PIECE if left is None else min(_PIECE, left))
        if not piece:
            return
        if left is not None:
            left -= len(piece)
        yield piece


def _receive_until(req: falcon.Request, deadline: float) -> None:
    """Bounds each receive; a timed socket (see cli/connections.py) bounds all of them together."""
    connection = req.env.get("gunicorn.socket")
    if connection is not None and hasattr(connection, "deadline"):
        connection.deadline = deadline
    elif isinstance(connection, socket.socket):
        connection.settimeout(max(0.001, deadline - time.monotonic()))


def _too_large(size: int, limit: int) -> TooLargeError:
    return TooLargeError("", f"the body has {size} bytes or more, over the limit of {limit}")
