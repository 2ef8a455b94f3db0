"""Which server a command asks: --url and --api-key, or what the environment says.

A command gets a `Connect` and calls it when it needs the server: some need none for some arguments.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from scopebound_engine.cli.remote import Server, find_server

Connect = Callable[[], Server]
_R = TypeVar("_R")
_Command = Callable[..., _R]


def connecting(scopes: str) -> Callable[[_Command[_R]], _Command[_R]]:
    """Give a command --url and --api-key, and as its first argument a `Connect` made of them.

    `scopes` says which of them the key needs.
    """

    def decorate(command: _Command[_R]) -> _Command[_R]:
        @click.option(
            "--url",
            help="The server. Without: SCOPEBOUND_BASE_URL, or where `serve` would listen.",
        )
        @click.option(
            "--api-key",
            help=f"A key with the scope {scopes}; other users of this machine see it here. "
            "Without: SCOPEBOUND_API_KEY, or on the server's machine the key in its data folder.",
        )
        @functools.wraps(command)
        def connected(*args: Any, url: str | None, api_key: str | None, **kwargs: Any) -> _R:
            return command(functools.partial(_connect, url, api_key), *args, **kwargs)

        return connected

    return decorate


def _connect(url: str | None, api_key: str | None) -> Server:
    # Here, as who asks no server should not wait for the library of settings.
    from scopebound_engine.config import from_env

    return find_server(from_env(), url, api_key)
