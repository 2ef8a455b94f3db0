"""Files that are there whole or not at all, whoever reads them and whenever the machine stops."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def write(path: Path, data: bytes, *, mode: int, durable: bool = True) -> None:
    """Write a file, or put it in place of one, with this mode. Raises OSError.

    One that is not `durable` spares the disk: after a crash of the machine it may be damaged.
    """
    with writing(path, mode=mode, durable=durable) as file:
        file.write(data)


@contextmanager
def writing(path: Path, *, mode: int, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write to, which takes its place when the block ends well; see `write`.

    Until it is there its bytes lie beside it in a file whose name begins with a dot. A link is
    followed: what it leads to is replaced.
    """
    path = path.resolve()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            # The process may have been started with a umask that takes rights away.
            os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    if durable:
        _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
