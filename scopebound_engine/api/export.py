"""GET /mgmt/v1/audit/export: the decision log of all nodes as a file.

It is sent while it is read. Where that fails in mid-way the connection breaks before the last
chunk, so that nobody takes a part for the whole.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Final

import falcon
import structlog

from scopebound_engine.access.model import AUDIT
from scopebound_engine.api import audit_trail, queries
from scopebound_engine.api.auth import require
from scopebound_engine.api.seats import Seats
from scopebound_engine.errors import DatabaseUnavailableError, InputError
from scopebound_engine.log.export import FORMATS
from scopebound_engine.times import moment, timestamp

FORMAT: Final = "json"
WINDOW_HOURS: Final = 24
MOST_HOURS: Final = 720
EXPORTED: Final = "log.exported"
_HOUR_SECONDS: Final = 3_600
_PIECE_BYTES: Final = 1 << 16

log = structlog.get_logger()

# The lines from a time until before another one, in epoch microseconds.
Lines = Callable[[int, int], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Export:
    """The records of the last hours, as far as they are shipped."""

    lines: Lines
    seats: Seats
    clock: Callable[[], float]

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The records of the hours before now, node by node, each node's in their order.

        `jsonl` has the lines of the nodes' journals, exactly, which `scopebound-engine log verify`
        takes; `json` one array of the same; `csv` the fields that fit a table. That it was exported
        is recorded.
        """
        require(req, AUDIT)
        queries.only(req, {"format", "window_hours"})
        hours = queries.number(req, "window_hours", WINDOW_HOURS, MOST_HOURS)
        form = req.params.get("format", FORMAT)
        if not isinstance(form, str) or form not in FORMATS:
            raise InputError("format", f"must be one of {', '.join(FORMATS)}")
        now = self.clock()
        with ExitStack() as seat:
            seat.enter_context(self.seats.take())
            media_type, write = FORMATS[form]
            from_us, to_us = (int(at * 1_000_000) for at in (now - hours * _HOUR_SECONDS, now))
            stream = _Stream(write(self.lines(from_us, to_us)), req.context.request_id)
            audit_trail.of(req).record(
                req,
                EXPORTED,
                {"type": "log", "id": form},
                {"from": timestamp(moment(from_us / 1e6)), "to": timestamp(moment(now))},
            )
            stream.seat = seat.pop_all()
        resp.content_type = media_type
        resp.downloadable_as = f"decisions-{timestamp(moment(now)).replace(':', '')}.{form}"
        resp.stream = stream


class _Stream:
    """The pieces of a file, which holds a seat until it is sent."""

    def __init__(self, pieces: Iterable[bytes], request_id: str) -> None:
        """Raises DatabaseUnavailableError: the first piece is read here, for a plain answer."""
        parts = iter(pieces)
        self._pieces = _gathered(chain([next(parts, b"")], parts))
        self._request_id = request_id
        self.seat = ExitStack()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except DatabaseUnavailableError as error:
            log.error("export broke off", request_id=self._request_id, reason=str(error))
            raise

    def close(self) -> None:
        self.seat.close()


def _gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in larger pieces."""
    buffer = bytearray()
    for part in parts:
        buffer += part
        if len(buffer) >= _PIECE_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)
