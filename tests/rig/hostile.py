"""Hostile bodies and hostile bundles: each must be denied or refused, and nobody else notice."""

import gzip
import json
import random
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any

import httpx

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.signature import SIGNATURES, sign
from scopebound_engine.bundle.trust.keys import SigningKey
from tests.bundles import bundle_files, packed
from tests.rig.mix import FORGED
from tests.servers import API_KEY, RunningServer

DRIPPING, DRIP_SECONDS, ANSWER_SECONDS = 40, 0.2, 5.0
HIGH_VERSION = "1.1.0"
# Two defaults of one name end the Rego engine's process at the first query.
_CRASHING = b"package scopebound.killer\n\nimport rego.v1\n\ndefault a := 1\n\ndefault a := 2\n"
_LOOPING = b"""# METADATA
# title: Busy
# description: Counts for hours whenever a call is judged.
package scopebound.deny

import rego.v1

many := numbers.range(1, 3000)

violation contains {
	"code": "SCOPE_VIOLATION",
	"severity": "medium",
	"reason": "never found",
	"retry_guidance": "none",
} if {
	some a in many
	some b in many
	some c in many
	a + b == c - 10000
}
"""


def bodies() -> Mapping[str, bytes]:
    """Requests that no sane client sends, whole ones and such as are cut off."""
    deep = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    number = b'{"n":' + b"9" * 200_000 + b"}"
    small = b'{"n":1e999999999}'
    wide = json.dumps({str(key): key for key in range(5_000)}).encode()
    arguments = {"deep": deep, "huge number": number, "huge exponent": small, "wide": wide}
    whole = {name: _with_arguments(content) for name, content in arguments.items()}
    whole["no JSON"] = _head(4) + b"\xff\xfe{{"
    whole["too long"] = _head(3 << 20) + b"x" * (3 << 20)
    whole["cut in its body"] = _head(1_000) + b'{"jwt": "'
    whole["cut in its head"] = b"POST /v1/enforce HTTP/1.1\r\nHost: x\r\nContent-Le"
    whole["a broken chunk"] = _head("Transfer-Encoding: chunked") + b"zz\r\nhello\r\n"
    return whole


def bundles(key: SigningKey) -> Mapping[str, bytes]:
    """Archives that must never be in force; `key` is one that is trusted."""
    stranger, files = SigningKey.generate("es256"), bundle_files(HIGH_VERSION, denies=False)
    signed = {**files, SIGNATURES: sign(files, key)}
    changed = {**signed, "scopebound/main.rego": signed["scopebound/main.rego"] + b"\n# more\n"}
    return {
        "signed by a stranger": packed(stranger, files),
        "changed after signing": archive.write(changed),
        "a bomb": gzip.compress(bytes(64 << 20)),
        "no archive": b"<!doctype html><title>502",
        "crashes the engine": packed(key, {**files, "scopebound/killer.rego": _CRASHING}),
        "keeps the engine busy": packed(key, {**files, "scopebound/deny/busy.rego": _LOOPING}),
    }


def send_bodies(server: RunningServer, seconds: float) -> Iterator[str]:
    """What was wrong with the answers to hostile bodies, while slow connections drip."""
    until = time.monotonic() + seconds
    with ExitStack() as stack:
        dripping = [stack.enter_context(_connected(server)) for _ in range(DRIPPING)]
        for connection in dripping:
            connection.sendall(_head(100_000))
        while time.monotonic() < until:
            for name, request in bodies().items():
                if wrong := _answered_wrongly(server, request, is_cut=name.startswith("cut")):
                    yield f"{name}: {wrong}"
                for connection in dripping:
                    with suppress(OSError):
                        connection.sendall(b" ")
            time.sleep(DRIP_SECONDS)


def push_bundles(
    server: RunningServer, seconds: float, key: SigningKey, rng: random.Random
) -> Iterator[str]:
    """Which hostile bundles were not refused, of as many as there is time for."""
    until, made = time.monotonic() + seconds, bundles(key)
    for name, data in rng.sample(list(made.items()), len(made)):
        if time.monotonic() > until:
            return
        with suppress(httpx.TransportError), server.client(40) as http:
            response = http.post("/mgmt/v1/bundles/upload", content=data)
            if response.status_code not in {400, 409, 413, 422, 503}:
                yield f"{name}: {response.status_code} {response.text[:200]}"


def _with_arguments(content: bytes) -> bytes:
    """A call whose arguments are these bytes."""
    document: dict[str, Any] = {"jwt": FORGED, "tool_name": "read", "call_args": "HERE"}
    body = json.dumps(document).encode().replace(b'"HERE"', content)
    return _head(len(body)) + body


def _head(length: int | str) -> bytes:
    framing = f"Content-Length: {length}" if isinstance(length, int) else length
    return (
        f"POST /v1/enforce HTTP/1.1\r\nHost: x\r\nX-Scopebound-API-Key: {API_KEY}\r\n"
        f"Content-Type: application/json\r\n{framing}\r\n\r\n"
    ).encode()


def _answered_wrongly(server: RunningServer, request: bytes, *, is_cut: bool) -> str:
    """What is wrong with the answer, nothing where it is a denial. What is cut off needs none."""
    with suppress(OSError, ValueError), _connected(server) as connection:
        connection.sendall(request)
        if is_cut:
            return ""
        with connection.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            length = 0
            while (line := answer.readline().lower()) != b"\r\n":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            said = json.loads(answer.read(length))
        return "" if (status, said.get("decision")) == (200, "deny") else f"{status} {said}"
    return "" if is_cut else "no answer"


def _connected(server: RunningServer) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS)
