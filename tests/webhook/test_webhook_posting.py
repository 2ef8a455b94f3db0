"""POSTs to servers that mean no good: where they may lead, and what they may cost."""

import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.addresses import networks
from scopebound_engine.errors import InputError
from scopebound_engine.webhook.posting import Outcome, Poster
from tests.webhook.certificates import Authority
from tests.webhook.delivering import LOCAL, closed_port, local_poster
from tests.webhook.receivers import Receiver, receiving

HOST = "hooks.example"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


class Names:
    """A resolver that answers one list of addresses after the other, the last one for good."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        family = {False: socket.AF_INET, True: socket.AF_INET6}
        return [(family[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in found]


def post(poster: Poster, url: str) -> Outcome:
    return poster.post(url, {"X-More": "yes"}, b'{"event":"deny"}')


def test_a_success_is_any_status_of_the_two_hundreds(receiver: Receiver) -> None:
    receiver.statuses = [200, 202, 204, 299]
    for status in (200, 202, 204, 299):
        outcome = post(local_poster(), receiver.url())
        assert (outcome.status, outcome.problem) == (status, "")
        assert 0 < outcome.milliseconds < 2_000
    received = receiver.received[0]
    assert (received.body, received.headers["X-More"]) == (b'{"event":"deny"}', "yes")
    assert received.headers["Host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("status", [199, 304, 400, 404, 429, 500, 503])
def test_other_statuses_are_failures(receiver: Receiver, status: int) -> None:
    receiver.status = status
    outcome = post(local_poster(), receiver.url())
    assert outcome.status == status
    assert outcome.problem.startswith(f"it answered {status}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.status, receiver.headers = status, {"Location": receiver.url("/elsewhere")}
    outcome = post(local_poster(), receiver.url())
    assert outcome.problem == f"it answered {status}, which is not followed"
    assert [one.path for one in receiver.received] == ["/hook"]


def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    assert post(local_poster(), receiver.url()).status == 204


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_this_machine_is_out_of_reach_however_it_is_spelled(receiver: Receiver, host: str) -> None:
    outcome = post(Poster(allow_http=True), receiver.url(host=host))
    assert "which is not public" in outcome.problem
    assert receiver.received == []


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1"]
)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    poster = Poster(resolve=Names(["93.184.216.34", address]))
    outcome = post(poster, f"https://{HOST}/")
    assert outcome.problem == (
        f"{HOST} leads to {address}, which is not public; SCOPEBOUND_WEBHOOK_NETWORKS can list it"
    )


def test_a_name_is_looked_up_once_and_what_was_found_is_connected_to(
    receiver: Receiver,
) -> None:
    """A second answer would lead elsewhere: to where nobody listens, and where nothing may."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    poster = local_poster(resolve=names, networks=networks("127.0.0.1"))
    assert post(poster, receiver.url(host=HOST)).status == 204
    assert names.asked == 1
    assert "leads to 10.0.0.1" in post(poster, receiver.url(host=HOST)).problem
    assert len(receiver.received) == 1


def test_the_next_address_is_tried_where_one_does_not_answer(receiver: Receiver) -> None:
    poster = local_poster(resolve=Names(["::1", "127.0.0.1"]))
    assert post(poster, receiver.url(host=HOST)).status == 204


def test_https_is_asked_for_unless_the_operator_allows_http(receiver: Receiver) -> None:
    outcome = post(Poster(networks=LOCAL), receiver.url())
    assert "must begin with https://" in outcome.problem
    with pytest.raises(InputError, match="SCOPEBOUND_WEBHOOK_ALLOW_HTTP"):
        Poster().check("http://hooks.example/")
    assert Poster().check("https://hooks.example/").host == "hooks.example"


def test_a_literal_address_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InputError, match="not public"):
        Poster().check("https://10.0.0.1/")
    with pytest.raises(InputError, match="not public"):
        Poster().check("https://[::ffff:10.0.0.1]/")
    assert Poster(networks=networks("10.0.0.0/8")).check("https://10.0.0.1/").host == "10.0.0.1"


def test_certificates_are_checked_for_the_name_though_the_address_is_connected_to(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    trusting = local_poster(resolve=Names(["127.0.0.1"]), tls=authority.client)
    with receiving(authority.server(HOST)) as receiver:
        assert post(trusting, receiver.url(host=HOST)).status == 204
        assert "match" in post(trusting, receiver.url(host="other.example")).problem
        strange = local_poster(resolve=Names(["127.0.0.1"]))
        assert "verify failed" in post(strange, receiver.url(host=HOST)).problem
        assert len(receiver.received) == 1


def drip(handler: BaseHTTPRequestHandler) -> None:
    for _ in range(100):
        handler.wfile.write(b"H")
        time.sleep(0.1)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        handler.wfile.write(b"X: y\r\n")
        time.sleep(0.1)


def hang(_handler: BaseHTTPRequestHandler) -> None:
    time.sleep(10)


@pytest.mark.parametrize("answer", [drip, drip_headers, hang])
def test_no_receiver_takes_longer_than_it_may(receiver: Receiver, answer: Any) -> None:
    receiver.answer = answer
    began = time.monotonic()
    outcome = post(local_poster(seconds=0.5), receiver.url())
    assert time.monotonic() - began < 2
    assert (outcome.status, outcome.problem) == (None, "it did not answer within 0.5 s")


def flood(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000_000)


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"hello\r\n\r\n")


def nothing(_handler: BaseHTTPRequestHandler) -> None:
    pass


def informed(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")


@pytest.mark.parametrize("answer", [flood, no_http, nothing])
def test_what_is_no_answer_is_a_failure(receiver: Receiver, answer: Any) -> None:
    receiver.answer = answer
    outcome = post(local_poster(), receiver.url())
    assert outcome.status is None
    assert 0 < len(outcome.problem) <= 300


def test_a_body_of_any_size_is_not_read(receiver: Receiver) -> None:
    def large(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            handler.wfile.write(b"x" * 65_536)

    receiver.answer = large
    assert post(local_poster(), receiver.url()).problem == ""


def test_an_answer_may_come_after_others_that_announce_it(receiver: Receiver) -> None:
    receiver.answer = informed
    assert post(local_poster(), receiver.url()).status == 204


def test_a_dead_receiver_says_so() -> None:
    outcome = post(local_poster(), f"http://127.0.0.1:{closed_port()}/")
    assert "refused" in outcome.problem
    unknown = post(local_poster(resolve=_unknown), f"https://{HOST}/")
    assert "not known" in unknown.problem
    assert post(local_poster(), f"https://{'x' * 64}.example/").problem != ""


def _unknown(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(-2, "Name or service not known")
