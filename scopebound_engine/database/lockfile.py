"""One process at a time: a lock file in the data folder, let go when its process dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scopebound_engine.database.sqlite import unwritable
from scopebound_engine.errors import DatabaseUnavailableError

_POLL_SECONDS: Final = 0.005


@contextmanager
def alone(path: Path, *, seconds: float = 60.0) -> Iterator[None]:
    """Hold the lock file at `path`, waiting for it at most so long.

    Raises ConfigError when the file cannot be made, DatabaseUnavailableError when another process
    keeps it. Its parent folder is made for this user only.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    try:
        _wait(descriptor, path, time.monotonic() + seconds)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise DatabaseUnavailableError(
                    f"another process holds {path} for too long; "
                    "look for one that hangs in its start and end it"
                ) from error
            time.sleep(_POLL_SECONDS)
        else:
            return
