"""Nothing of a request is left to Python's collector, which would stop all threads to find it."""

import gc
import json
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from falcon.testing import create_environ

from tests.api.clocked import Service
from tests.servers import API_KEY

ROUNDS = 5


def asked(service: Service, path: str, body: bytes, headers: dict[str, str]) -> None:
    """As a server does it: falcon's own test client keeps more than that."""
    environ = create_environ(path, method="POST", headers=headers)
    environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    answer = service.http.app(environ, lambda _status, _headers: None)
    for _ in answer:
        pass
    if hasattr(answer, "close"):
        answer.close()


def garbage(act: Callable[[], None]) -> Counter[str]:
    """What only the collector can free of what an act made, by type."""
    act()  # what is made but once
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            act()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return Counter(type(found).__qualname__ for found in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


REQUESTS: dict[str, Callable[[str], bytes]] = {
    "allowed": lambda jwt: call(jwt, "read"),
    "denied by the policy": lambda jwt: call(jwt, "write"),
    "another's signature": lambda jwt: call(jwt[:-8] + "AAAAAAAA", "read"),
    "no JSON": lambda _jwt: b"{",
    "no call": lambda _jwt: b"[]",
}


def call(jwt: str, tool: str) -> bytes:
    made: dict[str, Any] = {"jwt": jwt, "tool_name": tool, "call_args": {"amount": 1}}
    return json.dumps(made).encode()


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_call_leaves_none(service: Service, kind: str) -> None:
    agent = service.session(service.role("read"))
    headers = {"X-Scopebound-API-Key": API_KEY, "Content-Type": "application/json"}
    body = REQUESTS[kind](agent.jwt)
    left = garbage(lambda: asked(service, "/v1/enforce", body, headers))
    assert sum(left.values()) < ROUNDS, left
