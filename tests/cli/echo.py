"""A WSGI app for the worker's tests: the query says how long an answer takes and what it is."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """`/?seconds=S&empty=1&broken=1&text=T&times=N`: after S seconds 204, or so many T.

    A broken answer ends before its end.
    """
    query = parse_qs(environ["QUERY_STRING"])
    time.sleep(float(query.get("seconds", ["0"])[0]))
    if "empty" in query:
        start_response("204 No Content", [])
        return []
    body = query.get("text", ["ok"])[0].encode() * int(query.get("times", ["1"])[0])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return broken(body) if "broken" in query else [body]


def broken(body: bytes) -> Iterator[bytes]:
    """The first byte, and then an error."""
    yield body[:1]
    raise ValueError("the rest is not there")
