"""A running server, as the commands that talk to one find and ask it."""

import http.client
import ipaddress
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from scopebound_engine.errors import Finding, ScopeboundError

if TYPE_CHECKING:
    # For its shape: whoever asks no server has no use for the library of settings.
    from scopebound_engine.config import Config

TIMEOUT_SECONDS: Final = 5.0
# Of a long answer: how long nothing of it may come.
_SILENCE_SECONDS: Final = 60.0
_PIECE_BYTES: Final = 1 << 16
_BYTES: Final = "application/octet-stream"


class RemoteError(ScopeboundError):
    """The server cannot be used."""


class LostAnswerError(RemoteError):
    """The server took a request and did not answer: what became of it is unknown."""


class RefusedError(RemoteError):
    """The server answered with a problem; `detail` is its sentence, `findings` what it lists."""

    def __init__(self, method: str, path: str, status: int, problem: Any) -> None:
        self.problem: Mapping[str, Any] = problem if isinstance(problem, dict) else {}
        self.status = status
        self.detail = str(self.problem.get("detail", problem))
        self.findings = tuple(map(finding_of, self.problem.get("findings", ())))
        super().__init__(f"{method} {path} answered {status}: {self.detail}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status. The names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and a key for it."""

    url: str
    api_key: str = field(repr=False)

    def call(self, method: str, path: str, document: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer. Raises RemoteError when there is none."""
        body = None if document is None else json.dumps(document).encode()
        answer = self._ask(method, path, body, "application/json", TIMEOUT_SECONDS)
        return answer.status, self._json(answer.body)

    def done(self, method: str, path: str, document: Any = None) -> Any:
        """The JSON of a 2xx answer. Raises RefusedError for another one, RemoteError for none."""
        status, answer = self.call(method, path, document)
        if status >= 300:
            raise RefusedError(method, path, status, answer)
        return answer

    def change(self, method: str, path: str, data: bytes | None = None, *, seconds: float) -> Any:
        """Like `done`, for what takes its time: sends bytes, waits that long for the answer."""
        return self._json(self._accepted(method, path, data, seconds).body)

    def fetch(self, path: str) -> Answer:
        """A 2xx answer that is no JSON. Raises RefusedError for another one, RemoteError."""
        return self._accepted("GET", path, None, TIMEOUT_SECONDS)

    def stream(self, path: str) -> Iterator[bytes]:
        """The pieces of a 2xx answer, however long it is.

        Raises RefusedError for another answer, RemoteError for none, or where it is not whole.
        """
        with self._opened("GET", path, None, _BYTES, _SILENCE_SECONDS) as got:
            if got.status >= 300:
                raise RefusedError("GET", path, got.status, self._json(got.read()))
            if got.length is None and not got.chunked:
                raise RemoteError(
                    f"what answers at {self.url} does not say where its answer ends, and a part "
                    "would be taken for the whole; let proxies speak HTTP/1.1"
                )
            try:
                while piece := got.read(_PIECE_BYTES):
                    yield piece
            except (OSError, http.client.HTTPException) as error:
                raise self._broken_off(path) from error
            # Of an announced length that does not come there is no exception.
            if got.length:
                raise self._broken_off(path)

    def _broken_off(self, path: str) -> RemoteError:
        return RemoteError(
            f"the answer to GET {path} broke off before its end; the log of the server at "
            f"{self.url} may say why; ask again"
        )

    def _accepted(self, method: str, path: str, data: bytes | None, seconds: float) -> Answer:
        answer = self._ask(method, path, data, _BYTES, seconds)
        if answer.status >= 300:
            raise RefusedError(method, path, answer.status, self._json(answer.body))
        return answer

    def _ask(
        self, method: str, path: str, body: bytes | None, media_type: str, seconds: float
    ) -> Answer:
        with self._opened(method, path, body, media_type, seconds) as got:
            headers = {name.lower(): value for name, value in got.headers.items()}
            return Answer(got.status, headers, got.read())

    @contextmanager
    def _opened(
        self, method: str, path: str, body: bytes | None, media_type: str, seconds: float
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer that begins; each wait for it or for more of it takes `seconds` at most."""
        request = urllib.request.Request(  # noqa: S310  # the address is the operator's own
            self.url + path,
            method=method,
            data=body,
            headers={"X-Scopebound-API-Key": self.api_key, "Content-Type": media_type},
        )
        try:
            with _OPENER.open(request, timeout=seconds) as got:
                if 300 <= got.status < 400:
                    raise RemoteError(
                        f"{self.url} sends callers on to {got.headers.get('location')}; set "
                        "SCOPEBOUND_BASE_URL to the address that answers"
                    )
                yield got
        except urllib.error.URLError as error:
            raise RemoteError(
                f"no server answers at {self.url} ({error.reason}); start one with `make run`, "
                "or set SCOPEBOUND_BASE_URL to where it is"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise LostAnswerError(
                f"{self.url} took {method} {path} and did not answer ({error or 'it hung up'}), "
                "so what became of it is not known; ask what is there, then try again"
            ) from error

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise RemoteError(
                f"what answers at {self.url} does not speak JSON; check SCOPEBOUND_BASE_URL"
            ) from error


class _AsAnswered(urllib.request.HTTPErrorProcessor):
    """Hands on every answer as it is.

    A redirect is not followed: the key would go along, to a host that nobody named.
    """

    def http_response(self, request: Any, response: Any) -> Any:  # noqa: ARG002  # urllib's names
        """The response, whatever its status."""
        return response

    https_response = http_response


_OPENER: Final = urllib.request.build_opener(_AsAnswered)


def finding_of(told: Mapping[str, Any]) -> Finding:
    """A finding as an answer has it; a server of another version may say more, or less."""
    return Finding(**{name: told[name] for name in Finding.__slots__ if name in told})


def find_server(config: "Config", url: str | None = None, api_key: str | None = None) -> Server:
    """The server at `url`, or SCOPEBOUND_BASE_URL, or where this configuration would serve.

    Its key is `api_key`, or SCOPEBOUND_API_KEY; of a server on this machine the bootstrap key, or
    the one in the data folder. Raises RemoteError when there is no key.
    """
    url = url or os.environ.get("SCOPEBOUND_BASE_URL") or f"http://{config.authority}"
    if not url.startswith(("http://", "https://")):
        raise RemoteError(f"the server's address is {url!r}; begin it with http:// or https://")
    key = api_key or os.environ.get("SCOPEBOUND_API_KEY") or _own_key(config, url)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise RemoteError("the API key has blanks or characters that no key has; check it")
    return Server(url.rstrip("/"), key)


def _own_key(config: "Config", url: str) -> str:
    """The key of this machine's server, which is for no other."""
    if not _is_here(config, url):
        raise RemoteError(f"no API key for {url}; set SCOPEBOUND_API_KEY")
    if config.bootstrap_api_key is not None:
        return config.bootstrap_api_key.get_secret_value()
    file = config.api_key_file
    if not file.exists():
        raise RemoteError(f"no API key: {file} is not there; set SCOPEBOUND_API_KEY")
    try:
        return file.read_text().strip()
    except OSError as error:
        raise RemoteError(f"{file} cannot be read: {error.strerror}") from error


def _is_here(config: "Config", url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host in {"localhost", config.host}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
