"""A server is found where it is said to be, and gets the key that is meant for it."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.cli.remote import (
    LostAnswerError,
    RefusedError,
    RemoteError,
    Server,
    find_server,
)
from scopebound_engine.config import Config
from tests.cli.answering import Answering, answering
from tests.servers import free_port

OWN_KEY = "sb-the-key-of-the-data-folder"
BOOTSTRAP_KEY = "sb-the-key-from-outside"


@pytest.fixture
def remote() -> Iterator[Answering]:
    with answering() as made:
        yield made


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SCOPEBOUND_BASE_URL", "SCOPEBOUND_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def config(data_dir: Path, **settings: Any) -> Config:
    (data_dir / "api-key").write_text(OWN_KEY + "\n")
    return Config.model_validate({"data_dir": data_dir, **settings})


# Which server, and which key


def test_flags_come_before_the_environment_and_that_before_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = config(tmp_path, port=9999)
    assert find_server(here) == Server("http://127.0.0.1:9999", OWN_KEY)
    monkeypatch.setenv("SCOPEBOUND_BASE_URL", "https://one.example/")
    monkeypatch.setenv("SCOPEBOUND_API_KEY", "sb-one")
    assert find_server(here) == Server("https://one.example", "sb-one")
    assert find_server(here, "https://two.example", "sb-two") == Server(
        "https://two.example", "sb-two"
    )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "http://10.0.0.7:1"]
)
def test_the_key_of_this_machine_is_for_its_own_server(tmp_path: Path, url: str) -> None:
    here = config(tmp_path, host="10.0.0.7")
    assert find_server(here, url).api_key == OWN_KEY
    outside = config(tmp_path, host="10.0.0.7", bootstrap_api_key=BOOTSTRAP_KEY)
    assert find_server(outside, url).api_key == BOOTSTRAP_KEY


@pytest.mark.parametrize("url", ["https://elsewhere.example", "http://10.0.0.8", "http://1"])
def test_the_key_of_this_machine_goes_to_no_other(tmp_path: Path, url: str) -> None:
    for here in (config(tmp_path), config(tmp_path, bootstrap_api_key=BOOTSTRAP_KEY)):
        with pytest.raises(RemoteError, match=r"no API key for http.*SCOPEBOUND_API_KEY"):
            find_server(here, url)


def test_without_a_key_or_with_what_is_none_nothing_is_asked(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match=r"no API key: .* is not there"):
        find_server(Config.model_validate({"data_dir": tmp_path}))
    for key in ("sb-two words", "sb-\n", "sb-é"):
        with pytest.raises(RemoteError, match="no key has") as raised:
            find_server(config(tmp_path), api_key=key)
        assert key not in str(raised.value)
    with pytest.raises(RemoteError, match="begin it with http"):
        find_server(config(tmp_path), "127.0.0.1:8080")


def test_a_server_does_not_show_its_key() -> None:
    assert OWN_KEY not in repr(Server("http://a", OWN_KEY))


# What comes back


def test_the_key_goes_along_and_the_json_comes_back(remote: Answering) -> None:
    remote.answer("POST /a", 201, {"b": 1})
    assert Server(remote.url, OWN_KEY).done("POST", "/a", {"c": 2}) == {"b": 1}
    (asked,) = remote.asked
    assert (asked.api_key, asked.body) == (OWN_KEY, b'{"c": 2}')


def test_a_problem_is_an_error_with_its_findings(remote: Answering) -> None:
    finding = {"step": "parse", "message": "m", "file": "a.rego", "line": 3, "level": "warning"}
    problem = {"detail": "it is wrong", "findings": [finding | {"unheard": "of"}]}
    remote.answer("POST /a", 422, problem)
    with pytest.raises(RefusedError, match="POST /a answered 422: it is wrong") as raised:
        Server(remote.url, OWN_KEY).change("POST", "/a", b"x", seconds=5)
    assert raised.value.problem == problem
    assert str(raised.value.findings[0]) == "a.rego:3:0: m"
    assert raised.value.findings[0].level == "warning"


def test_a_redirect_is_not_followed_since_the_key_would_go_along(remote: Answering) -> None:
    with answering() as other:
        other.answer("GET /a", 200, {})
        remote.answer("GET /a", 302, {}, Location=f"{other.url}/a")
        with pytest.raises(RemoteError, match="sends callers on to"):
            Server(remote.url, OWN_KEY).done("GET", "/a")
        assert other.asked == []


def test_no_server_and_a_lost_answer_are_told_apart(remote: Answering) -> None:
    with pytest.raises(RemoteError, match="no server answers at") as raised:
        Server(f"http://127.0.0.1:{free_port()}", OWN_KEY).done("GET", "/a")
    assert not isinstance(raised.value, LostAnswerError)
    with pytest.raises(LostAnswerError, match="took POST /hangs/up and did not answer"):
        Server(remote.url, OWN_KEY).change("POST", "/hangs/up", b"x", seconds=5)


@pytest.mark.parametrize("status", [200, 502])
def test_what_is_no_json_is_no_server_of_ours(remote: Answering, status: int) -> None:
    remote.answers["GET /a"] = (status, {}, b"<html>")
    with pytest.raises(RemoteError, match="does not speak JSON"):
        Server(remote.url, OWN_KEY).done("GET", "/a")


def test_bytes_are_fetched_as_they_are(remote: Answering) -> None:
    remote.answers["GET /a"] = (200, {"ETag": '"x"'}, b"\x00\xff")
    answer = Server(remote.url, OWN_KEY).fetch("/a")
    assert (answer.body, answer.headers["etag"]) == (b"\x00\xff", '"x"')


# What comes piece by piece


class Raw:
    """Answers one request with these bytes, and hangs up."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self._answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, self._socket:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(self._answer)

    def streamed(self) -> bytes:
        """What a client gets of it."""
        try:
            return b"".join(Server(self.url, OWN_KEY).stream("/a"))
        finally:
            self._thread.join()


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def test_a_stream_comes_whole(remote: Answering) -> None:
    assert Raw(CHUNKED, b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n").streamed() == b"abcd"
    assert Raw(b"Content-Length: 4\r\n", b"abcd").streamed() == b"abcd"
    remote.answer("GET /a", 403, {"detail": "not for you"})
    with pytest.raises(RefusedError, match="answered 403: not for you"):
        list(Server(remote.url, OWN_KEY).stream("/a"))


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (CHUNKED, b"3\r\nabc\r\n"),
        (CHUNKED, b"3\r\nabc\r\n9\r\nde"),
        (CHUNKED, b"3\r\nabc\r\nnonsense"),
        (b"Content-Length: 9\r\n", b"abc"),
    ],
)
def test_a_stream_that_breaks_off_is_never_taken_for_whole(head: bytes, body: bytes) -> None:
    with pytest.raises(RemoteError, match="broke off before its end"):
        Raw(head, body).streamed()


def test_a_stream_whose_end_cannot_be_told_is_refused() -> None:
    with pytest.raises(RemoteError, match="does not say where its answer ends"):
        Raw(b"", b"abc").streamed()
