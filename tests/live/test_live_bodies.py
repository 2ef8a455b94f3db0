"""Bodies as no sane client sends them, over raw sockets: each gets an answer, at enforce a 200."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.servers import API_KEY, PLAIN, RunningServer, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("bodies") / "data", workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def token(server: RunningServer) -> str:
    with server.client() as http:
        http.post("/mgmt/v1/roles", json={"name": "r", "allowed_tools": ["read"]})
        return str(http.post("/v1/provision", json={"role_id": "r"}).json()["jwt"])


def connect(server: RunningServer) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def head(length: int | str, extra: str = "", path: str = "/v1/enforce") -> bytes:
    framing = f"Content-Length: {length}" if isinstance(length, int) else length
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Scopebound-API-Key: {API_KEY}\r\n"
        f"Content-Type: application/json\r\n{framing}\r\n{extra}\r\n"
    ).encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Status and JSON of the answer, read to its announced length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise AssertionError(f"the connection was closed after {data!r}")
        data += piece
    header, _, rest = data.partition(b"\r\n\r\n")
    fields = dict(
        line.lower().split(b": ", 1) for line in header.split(b"\r\n")[1:] if b": " in line
    )
    while len(rest) < int(fields[b"content-length"]):
        rest += connection.recv(65536)
    return int(header.split()[1]), json.loads(rest)


def test_a_body_that_never_comes_is_denied_within_the_deadline(server: RunningServer) -> None:
    with connect(server) as connection:
        started = time.monotonic()
        connection.sendall(head(1000) + b'{"jwt": "')
        status, decision = answer(connection)
        assert (status, decision["deny_code"]) == (200, "POLICY_ERROR")
        assert time.monotonic() - started < 1.5


def test_half_bodies_leave_threads_to_calls_that_are_whole(tmp_path: Path) -> None:
    whole = json.dumps({"jwt": "no token", "tool_name": "read", "call_args": {}}).encode()
    with serving(tmp_path / "data", workers=1, threads=4) as server, ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(connect(server)).sendall(head(1000) + b"{")
        for _ in range(10):
            with connect(server) as connection:
                started = time.monotonic()
                connection.sendall(head(len(whole)) + whole)
                status, decision = answer(connection)
                assert (status, decision["deny_code"]) == (200, "JWT_INVALID"), decision
                assert time.monotonic() - started < 1


def test_a_body_that_drips_is_denied_within_the_deadline(server: RunningServer) -> None:
    with connect(server) as connection:
        started = time.monotonic()
        connection.sendall(head(100_000))
        connection.settimeout(0.05)
        while time.monotonic() - started < 5:
            connection.sendall(b" ")
            try:
                connection.recv(1, socket.MSG_PEEK)
                break
            except TimeoutError:
                continue
        connection.settimeout(10)
        status, decision = answer(connection)
        assert (status, decision["deny_code"]) == (200, "POLICY_ERROR")
        assert time.monotonic() - started < 1.5


def test_a_fast_but_late_sender_still_reads_its_answer(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(head(3 << 20))
        time.sleep(1.2)
        connection.sendall(b"x" * (3 << 20))
        status, decision = answer(connection)
        assert (status, decision["deny_code"]) == (200, "POLICY_ERROR")


@pytest.mark.parametrize("size", [(1 << 20) + 1, 5 << 20, 40 << 20])
def test_a_body_over_the_limit_is_read_and_denied(server: RunningServer, size: int) -> None:
    with connect(server) as connection:
        connection.sendall(head(size))
        connection.sendall(b"x" * size)
        status, decision = answer(connection)
        assert (status, decision["deny_code"]) == (200, "REQUEST_INVALID")
        assert "limit" in str(decision["reason"])


def test_a_body_over_the_drain_limit_is_denied_before_its_end(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(head(200 << 20))
        piece = b"x" * (1 << 20)
        for _ in range(70):
            connection.sendall(piece)
        status, decision = answer(connection)
        assert (status, decision["deny_code"]) == (200, "REQUEST_INVALID")


def test_a_chunked_body_is_judged_like_any_other(server: RunningServer, token: str) -> None:
    body = json.dumps({"jwt": token, "tool_name": "read", "call_args": {}}).encode()
    half = len(body) // 2
    with connect(server) as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        for piece in (body[:half], body[half:], b""):
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        status, decision = answer(connection)
        assert (status, decision["decision"]) == (200, "allow")


def test_a_broken_chunk_is_denied(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(head("Transfer-Encoding: chunked") + b"zz\r\nhello\r\n")
        status, decision = answer(connection)
        assert (status, decision["decision"]) == (200, "deny")


# Uploads of bundles, which are large and take long.


UPLOAD = "/mgmt/v1/bundles/upload"


def test_a_broken_chunk_of_an_upload_is_the_clients_mistake(server: RunningServer) -> None:
    for chunk in (b"ZZ\r\n", b"5\r\nhelloXX\r\n", b"-1\r\n"):
        with connect(server) as connection:
            connection.sendall(head("Transfer-Encoding: chunked", path=UPLOAD) + chunk)
            status, problem = answer(connection)
            assert (status, problem["title"]) == (400, "The request is unfit")


@pytest.mark.parametrize("length", [9 << 20, 99_999_999_999])
def test_an_upload_that_says_it_is_too_large_is_refused_at_once(
    server: RunningServer, length: int
) -> None:
    with connect(server) as connection:
        started = time.monotonic()
        connection.sendall(head(length, path=UPLOAD) + b"x")
        status, problem = answer(connection)
        assert (status, problem["title"]) == (413, "Too large")
        assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_upload_over_the_limit_that_is_sent_whole_is_answered(
    server: RunningServer, is_chunked: bool
) -> None:
    body = b"x" * (20 << 20)
    with connect(server) as connection:
        if is_chunked:
            framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            connection.sendall(head("Transfer-Encoding: chunked", path=UPLOAD) + framed)
        else:
            connection.sendall(head(len(body), path=UPLOAD) + body)
        assert answer(connection)[0] == 413


def test_uploads_that_dawdle_keep_no_activation_waiting(server: RunningServer) -> None:
    with ExitStack() as slow, server.client(timeout=20) as http:
        for _ in range(70):
            connection = slow.enter_context(connect(server))
            connection.sendall(head(1_000_000, path=UPLOAD) + b"x")
        time.sleep(0.5)
        nobody = "/mgmt/v1/bundles/00000000-0000-4000-8000-000000000000/activate"
        for _ in range(5):
            assert http.post(nobody).status_code == 404
        assert http.post(UPLOAD, content=b"x").json()["title"] == "Others are under way"


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"7", b"{", b"\xff", b"\xef\xbb\xbf{}", b'{"jwt":1', b"{}{}"],
)
def test_what_is_no_json_object_is_denied(server: RunningServer, body: bytes) -> None:
    with server.client() as http:
        answer = http.post("/v1/enforce", content=body)
    assert answer.status_code == 200
    assert answer.json()["deny_code"] == "REQUEST_INVALID"


def test_idle_connections_hold_no_thread(server: RunningServer, token: str) -> None:
    idle = [connect(server) for _ in range(200)]
    try:
        with server.client(timeout=2) as http:
            document = {"jwt": token, "tool_name": "read", "call_args": {}}
            assert http.post("/v1/enforce", json=document).json()["decision"] == "allow"
    finally:
        for connection in idle:
            connection.close()


def test_dripping_headers_end_at_a_deadline(server: RunningServer) -> None:
    with connect(server) as connection:
        started = time.monotonic()
        connection.sendall(b"POST /v1/enforce HTTP/1.1\r\nHost:")
        connection.settimeout(5)
        received = connection.recv(65536)
        assert received == b"" or received.startswith(b"HTTP/1.1 4")
        assert time.monotonic() - started < 3


def test_many_requests_reuse_a_connection(server: RunningServer, token: str) -> None:
    document = {"jwt": token, "tool_name": "read", "call_args": {}}
    with server.client() as http:
        answers = [http.post("/v1/enforce", json=document).json() for _ in range(50)]
    assert {answer["decision"] for answer in answers} == {"allow"}
    assert httpx.get(f"{server.url}/healthz", **PLAIN).json()["status"] == "ok"
