"""A WSGI app for the worker's tests: the query says how long an answer takes and what it is."""

import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """`/?seconds=S&empty=1&text=T`: after S seconds 204 without a body, or T."""
    query = parse_qs(environ["QUERY_STRING"])
    time.sleep(float(query.get("seconds", ["0"])[0]))
    if "empty" in query:
        start_response("204 No Content", [])
        return []
    body = query.get("text", ["ok"])[0].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
