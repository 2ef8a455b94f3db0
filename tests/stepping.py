"""Servers whose wall clock a test can step while they run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tests.servers import RunningServer

_ENDING = ".ahead"
# Python runs a module of this name at its start, before any other has taken time.time.
_SITECUSTOMIZE = f"""
import os
import time

wall, file = time.time, os.environ.get("SCOPEBOUND_DATA_DIR", "") + "{_ENDING}"


def stepped():
    try:
        with open(file) as ahead:
            return wall() + float(ahead.read())
    except FileNotFoundError:
        return wall()


time.time = stepped
"""


@contextmanager
def steppable(folder: Path) -> Iterator[None]:
    """Servers that are started in the block have a clock that `step` sets."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    with patch.dict(os.environ, PYTHONPATH=str(folder)):
        yield


def step(server: RunningServer, seconds: int) -> None:
    """Let the server's wall clock be ahead by so many seconds from now on."""
    ahead = server.data_dir.with_name(server.data_dir.name + _ENDING)
    part = ahead.with_suffix(".part")
    part.write_text(str(seconds))
    part.replace(ahead)
