"""Files that are there whole or not at all, whoever reads them and whenever the machine stops."""

import os
from contextlib import suppress
from pathlib import Path


def write(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file, or put it in place of one, with this mode. Raises OSError.

    Until it is there its bytes lie beside it in a file whose name begins with a dot. A link is
    followed: what it leads to is replaced.
    """
    path = path.resolve()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            # The process may have been started with a umask that takes rights away.
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
