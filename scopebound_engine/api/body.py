"""Request bodies: read whole, within a limit and a deadline, before anything is answered.

A server that answers and closes while the client still sends resets the connection, and a client
that fails open takes a reset for an allow. So a body over the limit is read to its end (to 64 MiB)
and thrown away, and one that is still on its way at the deadline is drained after the answer. So
are uploads over their limit, which is large: they are refused as soon as they are known to be.
"""

import socket
import time
from collections.abc import Iterator
from typing import Any, Final

import falcon
from gunicorn.http.errors import ParseException

from scopebound_engine import strict_json
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
    kept, size = bytearray(), 0
    try:
        for piece in _pieces(req, expected):
            size += len(piece)
            if size <= limit:
                kept += piece
            elif size > DRAIN_BYTES or not to_the_end:
                req.context.body_unread = True
                break
    except (TimeoutError, BlockingIOError) as error:
        req.context.body_unread = True
        raise LateBodyError(
            "the request's body was still arriving at the deadline; send it faster"
        ) from error
    except _BROKEN as error:
        raise InputError("", f"the body cannot be read: {error}") from error
    if size > limit:
        raise _too_large(size, limit)
    if expected is not None and size < expected:
        raise InputError("", f"the body ends after {size} of {expected} bytes")
    return bytes(kept)


def read_json(req: falcon.Request) -> Any:
    """The JSON value of a management request, strictly parsed. Raises InputError."""
    deadline = time.monotonic() + MANAGEMENT_SECONDS
    return strict_json.loads(read(req, MANAGEMENT_BODY_BYTES, deadline))


def linger(req: falcon.Request, resp: falcon.Response) -> None:
    """Once the answer is out, drain what of the body was not read."""
    if not getattr(req.context, "body_unread", False) or resp.data is None:
        return
    data, resp.data = resp.data, None
    resp.set_stream(_Lingering(req, data), len(data))


class _Lingering:
    """A response body that drains the request when the server closes it."""

    def __init__(self, req: falcon.Request, data: bytes) -> None:
        self._req, self._data = req, data

    def __iter__(self) -> Iterator[bytes]:
        yield self._data

    def close(self) -> None:
        deadline, size = time.monotonic() + LINGER_SECONDS, 0
        _receive_until(self._req, deadline)
        try:
            for piece in _pieces(self._req, None):
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
    """Bounds each receive; a timed socket (see cli/worker.py) bounds all of them together."""
    connection = req.env.get("gunicorn.socket")
    if connection is not None and hasattr(connection, "deadline"):
        connection.deadline = deadline
    elif isinstance(connection, socket.socket):
        connection.settimeout(max(0.001, deadline - time.monotonic()))


def _too_large(size: int, limit: int) -> TooLargeError:
    return TooLargeError("", f"the body has {size} bytes or more, over the limit of {limit}")
