"""A real server for tests: gunicorn, started as a user starts it, on a free loopback port."""

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from scopebound_engine.config import Config
from scopebound_engine.preparation import prepare

API_KEY = "sb-test-key-for-the-servers-of-tests"
# For httpx, which otherwise spends 30 ms a client on certificates that plain HTTP does not look at.
PLAIN: dict[str, Any] = {"verify": False}
_STATUSES = frozenset({"ok", "degraded", "down"})


@dataclass(frozen=True)
class RunningServer:
    """A server and how to reach it."""

    url: str
    process: subprocess.Popen[bytes]
    data_dir: Path
    log: Path

    def client(self, timeout: float = 30.0) -> httpx.Client:
        """An HTTP client with an admin key."""
        return httpx.Client(
            base_url=self.url, headers={"X-Scopebound-API-Key": API_KEY}, timeout=timeout, **PLAIN
        )


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(data_dir: Path, **settings: object) -> dict[str, str]:
    """An environment with these SCOPEBOUND_ settings and nothing of the caller's."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("SCOPEBOUND_")}
    given = {
        "data_dir": data_dir,
        "bootstrap_api_key": API_KEY,
        "provision_per_minute": 1_000_000,  # tests make many sessions of a role
        **settings,
    }
    return base | {f"SCOPEBOUND_{name.upper()}": str(value) for name, value in given.items()}


def make_prepared(data_dir: Path) -> None:
    """A data folder as a first start leaves it. The gate runs once for all of them."""
    shutil.copytree(_template(), data_dir)


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="scopebound-template-"))
    atexit.register(shutil.rmtree, folder)
    data_dir = folder / "data"
    prepare(Config.model_validate({"data_dir": data_dir, "bootstrap_api_key": API_KEY}))
    return data_dir


@contextlib.contextmanager
def serving(
    data_dir: Path,
    *,
    port: int = 0,
    first_start: bool = False,
    sound: bool = True,
    **settings: object,
) -> Iterator[RunningServer]:
    """`scopebound-engine serve` until the block ends; 2 workers unless told otherwise.

    `port` 0 is one that is free. The data folder is prepared beforehand, unless a first start is
    asked for or needed. One that is not `sound` need not become healthy: it is enough that it
    answers.
    """
    if not (first_start or data_dir.exists() or {"database_url", "policies"} & settings.keys()):
        make_prepared(data_dir)
    port = port or free_port()
    log = data_dir.parent / f"{data_dir.name}.log"
    env = environment(data_dir, port=port, **{"workers": 2, **settings})
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "scopebound_engine", "serve"],
            env=env,
            stdout=sink,
            stderr=sink,
        )
    server = RunningServer(f"http://127.0.0.1:{port}", process, data_dir, log)
    try:
        wait_until_healthy(server, statuses=frozenset({"ok"}) if sound else _STATUSES)
        yield server
    finally:
        stop(process)


@contextlib.contextmanager
def two_nodes(
    folder: Path, database_url: str, **settings: object
) -> Iterator[tuple[RunningServer, RunningServer]]:
    """Two nodes on one PostgreSQL, which believe the same bundle keys."""
    with serving(folder / "one", database_url=database_url, **settings) as one:
        # Operators give every node the same trusted keys; here it is the first node's own.
        trusted = shutil.copytree(folder / "one/bundle-keys/trusted", folder / "trusted")
        settings = {"database_url": database_url, "bundle_keys": trusted, **settings}
        with serving(folder / "two", **settings) as two:
            yield one, two


def wait_until_healthy(
    server: RunningServer, seconds: float = 60.0, statuses: Set[str] = frozenset({"ok"})
) -> None:
    """Return when the server's health is one of `statuses`; fail with its log otherwise."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            health = httpx.get(f"{server.url}/healthz", timeout=1, **PLAIN).json()
            if health["status"] in statuses:
                return
        time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{server.log.read_text()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server as an operator does; kill it if it does not end."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
