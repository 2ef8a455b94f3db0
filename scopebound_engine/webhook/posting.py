"""One POST to a URL that somebody else chose: where it may lead, and how long it may take.

A name is looked up once, and only an address that was found and may be reached is connected to,
so that another answer of the name's server is of no use. Nothing is followed: no redirect, and no
proxy of the environment.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from scopebound_engine.addresses import Network, WebAddress, is_address, is_allowed, web_address
from scopebound_engine.errors import InputError

_MOST_BYTES: Final = 16 << 10
_LONGEST_PROBLEM: Final = 300

# As socket.getaddrinfo.
Resolve = Callable[..., Sequence[tuple[Any, Any, Any, str, Any]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a POST: a status if there was one, and why it is no success, or nothing."""

    status: int | None
    problem: str
    milliseconds: float


class Poster:
    """Sends. Safe for use by many threads."""

    def __init__(
        self,
        *,
        networks: Sequence[Network] = (),
        allow_http: bool = False,
        seconds: float = 3.0,
        resolve: Resolve = socket.getaddrinfo,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        """`networks` may be reached though they are not public; `seconds` are for the whole."""
        self._networks, self._allow_http = tuple(networks), allow_http
        self._seconds, self._resolve, self._make_tls = seconds, resolve, tls

    def check(self, url: str) -> WebAddress:
        """The parts of a URL that may be sent to, as far as it says. Raises InputError."""
        try:
            address = web_address(url)
        except ValueError as error:
            raise InputError("webhook_url", str(error)) from error
        if is_address(address.host):
            self._require_allowed(address.host, address.host)
        if address.scheme != "https" and not self._allow_http:
            raise InputError(
                "webhook_url",
                "must begin with https://, unless SCOPEBOUND_WEBHOOK_ALLOW_HTTP is set",
            )
        return address

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Send a body. Never raises for what the URL and its server are like."""
        began, status = time.monotonic(), None
        try:
            status = self._exchange(self.check(url), headers, body, began + self._seconds)
            problem = _problem(status)
        except InputError as error:
            problem = error.detail
        except TimeoutError:
            problem = f"it did not answer within {self._seconds:g} s"
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = str(error) or type(error).__name__
        passed = (time.monotonic() - began) * 1000
        return Outcome(status, problem[:_LONGEST_PROBLEM], round(passed, 1))

    def _exchange(
        self, url: WebAddress, headers: Mapping[str, str], body: bytes, ends: float
    ) -> int:
        with self._connect(url, ends) as connection:
            connection.settimeout(_left(ends))
            connection.sendall(_request(url, headers, body))
            answer = http.client.HTTPResponse(_Answer(connection, ends), method="POST")  # type: ignore[arg-type]
            answer.begin()
            return answer.status

    def _connect(self, url: WebAddress, ends: float) -> socket.socket:
        connection = _first_open(self._places(url), ends)
        if url.scheme == "http":
            return connection
        try:
            connection.settimeout(_left(ends))
            return self._tls.wrap_socket(connection, server_hostname=url.host)
        except BaseException:
            connection.close()
            raise

    def _places(self, url: WebAddress) -> list[tuple[Any, Any]]:
        """Where the name leads, all of it allowed: family and address. Raises InputError."""
        try:
            found = self._resolve(url.host, url.port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise InputError("webhook_url", f"{url.host} is no name of a host") from error
        places = [(family, address) for family, _, _, _, address in found]
        for _, address in places:
            self._require_allowed(url.host, address[0])
        return places

    def _require_allowed(self, host: str, address: str) -> None:
        if not is_allowed(address, self._networks):
            raise InputError(
                "webhook_url",
                f"{host} leads to {address}, which is not public; "
                "SCOPEBOUND_WEBHOOK_NETWORKS can list it",
            )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._make_tls()


def _first_open(places: Sequence[tuple[Any, Any]], ends: float) -> socket.socket:
    problem: OSError = OSError("the name has no address")
    for family, address in places:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(ends))
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            problem = error
    raise problem


def _left(ends: float) -> float:
    """The seconds until then. Raises TimeoutError where there are none."""
    if (left := ends - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _request(url: WebAddress, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {
        "Host": url.authority,
        "User-Agent": "scopebound-engine",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }
    lines = [f"POST {url.target} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _problem(status: int) -> str:
    if 200 <= status < 300:
        return ""
    return f"it answered {status}" + (", which is not followed" if 300 <= status < 400 else "")


class _Answer(io.RawIOBase):
    """What comes from a socket, until then, and no more than a bit of it."""

    def __init__(self, connection: socket.socket, ends: float) -> None:
        self._connection, self._ends, self._left = connection, ends, _MOST_BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        """As a socket's, which http.client asks for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive what is there. Raises OSError."""
        if self._left <= 0:
            raise OSError(f"the headers of its answer are over {_MOST_BYTES >> 10} KiB")
        self._connection.settimeout(_left(self._ends))
        count = self._connection.recv_into(buffer, min(len(buffer), self._left))
        self._left -= count
        return count
