"""What is done when an answer is out: or when it is known that nobody takes it any more.

The server closes a response's body once it has sent it, or failed to. A peer that closed its side
before is gone as far as can be told: what is sent to it may look as if it had arrived.
"""

import select
from collections.abc import Callable, Iterator

import falcon

# Is told whether the answer went out to a peer that was still there.
Act = Callable[[bool], None]


def then(req: falcon.Request, act: Act) -> None:
    """Do this once the answer is out, after what was asked for before."""
    req.context.departure = [*getattr(req.context, "departure", ()), act]


def follow(req: falcon.Request, resp: falcon.Response) -> None:
    """Have the response do what was asked for; it is complete, but for being sent."""
    # Acts know their request: kept there they would make of each a cycle, which lasts until Python
    # looks for such. That took 10 ms of every second, and calls found no memory that was in cache.
    acts = vars(req.context).pop("departure", None)
    if acts and resp.data is not None:
        data, resp.data = resp.data, None
        resp.set_stream(_Departing(req, data, acts), len(data))


class _Departing:
    """A response body that knows whether it was sent."""

    def __init__(self, req: falcon.Request, data: bytes, acts: list[Act]) -> None:
        self._req, self._data, self._acts = req, data, acts
        self._is_out = False

    def __iter__(self) -> Iterator[bytes]:
        was_there = not _has_left(self._req)
        yield self._data
        # The server does not come back for more if it could not send.
        self._is_out = was_there

    def close(self) -> None:
        for act in self._acts:
            act(self._is_out)


def _has_left(req: falcon.Request) -> bool:
    """Whether the peer has closed its side of the connection."""
    connection = req.env.get("gunicorn.socket")
    if connection is None:
        return False
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))
