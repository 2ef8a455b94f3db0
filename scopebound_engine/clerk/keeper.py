"""Keeps a clerk running: the worker of a node that holds the lock starts it, again if it ends.

A worker that ends lets go of the lock, and another one goes on.
"""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Final

import structlog

from scopebound_engine.clerk.status import Watch
from scopebound_engine.config import PREFIX, Config
from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import DatabaseUnavailableError, ScopeboundError
from scopebound_engine.node import log_dir

LOCK_FILE: Final = "housekeeping.lock"
_COMMAND: Final = (sys.executable, "-I", "-X", "utf8", "-m", "scopebound_engine.clerk")
_LOOK_SECONDS: Final = 0.5
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
# One that lived so long is started again at once, almost.
_CALM_SECONDS: Final = 60.0
# A clerk ends within two seconds.
_END_SECONDS: Final = 2.5

log = structlog.get_logger()


class Keeper:
    """Has a clerk work for a node, and tells how that goes."""

    def __init__(self, config: Config) -> None:
        self._config, self.watch = config, Watch(log_dir(config))
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clerk-keeper", daemon=True)

    def start(self) -> None:
        """Begin, in the background, once no other worker of the node does it."""
        self._thread.start()

    def close(self) -> None:
        """End the clerk, if it is this worker's."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS + _LOOK_SECONDS)

    def problems(self) -> list[str]:
        """What is wrong with the clerk, for operators; nothing where none was to be started."""
        return self.watch.look().problems() if self._thread.ident is not None else []

    def _run(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            try:
                with alone(self._config.data_dir / LOCK_FILE, seconds=0):
                    self._keep()
            except DatabaseUnavailableError:
                continue  # Another worker of the node does it.
            except (ScopeboundError, OSError) as error:
                log.error("no clerk can be started", reason=str(error))

    def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            began = time.monotonic()
            code = self._attend(self._started())
            if self._closed.is_set():
                return
            if time.monotonic() - began >= _CALM_SECONDS:
                pause = _FIRST_PAUSE
            log.error("the clerk ended", code=code, retry_seconds=pause)
            self._closed.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _started(self) -> "subprocess.Popen[bytes]":
        # It makes no use of the API, and needs no key.
        config = self._config.model_copy(update={"bootstrap_api_key": None})
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=others | config.environment(),
            start_new_session=True,
        )

    def _attend(self, clerk: "subprocess.Popen[bytes]") -> int:
        """Wait for its end, or for ours, which is its too; its exit code."""
        while not self._closed.is_set():
            with suppress(subprocess.TimeoutExpired):
                return clerk.wait(_LOOK_SECONDS)
        if clerk.stdin is not None:
            clerk.stdin.close()
        try:
            return clerk.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            clerk.kill()
            return clerk.wait()
