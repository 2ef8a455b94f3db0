"""A running server, as the commands that talk to one find and ask it."""

import http.client
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from scopebound_engine.config import Config
from scopebound_engine.errors import ScopeboundError

TIMEOUT_SECONDS: Final = 5.0


class RemoteError(ScopeboundError):
    """The server cannot be used."""


class RefusedError(RemoteError):
    """The server answered with a problem; `detail` is its sentence."""

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        super().__init__(f"{method} {path} answered {status}: {detail}")
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and a key for it."""

    url: str
    api_key: str = field(repr=False)

    def call(self, method: str, path: str, document: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer. Raises RemoteError when there is none."""
        request = urllib.request.Request(  # noqa: S310  # the address is the operator's own
            self.url + path,
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "X-Scopebound-API-Key": self.api_key,
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, self._problem(error)
        except (OSError, http.client.HTTPException) as error:
            raise RemoteError(
                f"no server answers at {self.url} ({error}); start one with `make run`, "
                "or set SCOPEBOUND_BASE_URL to where it is"
            ) from error
        except ValueError as error:
            raise self._foreign() from error

    def done(self, method: str, path: str, document: Any = None) -> Any:
        """The JSON of a 2xx answer. Raises RefusedError for another one."""
        status, answer = self.call(method, path, document)
        if status >= 300:
            detail = answer.get("detail", answer) if isinstance(answer, dict) else answer
            raise RefusedError(method, path, status, str(detail))
        return answer

    def _problem(self, answer: urllib.error.HTTPError) -> Any:
        try:
            return json.load(answer)
        except ValueError as error:
            raise self._foreign() from error

    def _foreign(self) -> RemoteError:
        return RemoteError(
            f"what answers at {self.url} does not speak JSON; check SCOPEBOUND_BASE_URL"
        )


def find_server(config: Config) -> Server:
    """The server at SCOPEBOUND_BASE_URL, or where this configuration would serve.

    Its key is SCOPEBOUND_API_KEY, the bootstrap key, or the one in the data folder. Raises
    RemoteError when there is no key.
    """
    url = os.environ.get("SCOPEBOUND_BASE_URL") or f"http://{config.authority}"
    if not url.startswith(("http://", "https://")):
        raise RemoteError(f"SCOPEBOUND_BASE_URL is {url!r}; begin it with http:// or https://")
    return Server(url.rstrip("/"), _api_key(config))


def _api_key(config: Config) -> str:
    key = os.environ.get("SCOPEBOUND_API_KEY", "")
    if not key and config.bootstrap_api_key is not None:
        key = config.bootstrap_api_key.get_secret_value()
    file = config.api_key_file
    if not key and file.exists():
        try:
            key = file.read_text().strip()
        except OSError as error:
            raise RemoteError(f"{file} cannot be read: {error.strerror}") from error
    if not key:
        raise RemoteError(f"no API key: {file} is not there; set SCOPEBOUND_API_KEY")
    return key
