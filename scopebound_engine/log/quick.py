"""System calls that never wait, made without letting go of the interpreter's lock.

Python's own let go of it, and a thread of a busy process then waits up to 5 ms until it has it
again. Where all processes of a node wait for that thread, these are the calls to make. They raise
OSError.
"""

import ctypes
import fcntl
import os
from errno import EWOULDBLOCK
from typing import Final

READ_BYTES: Final = 1 << 16

_LIBC: Final = ctypes.PyDLL(None, use_errno=True)
_OFFSET: Final = ctypes.c_int64
_LIBC.flock.argtypes = (ctypes.c_int, ctypes.c_int)
_LIBC.lseek.argtypes = (ctypes.c_int, _OFFSET, ctypes.c_int)
_LIBC.lseek.restype = _OFFSET
_LIBC.pread.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, _OFFSET)
_LIBC.pread.restype = ctypes.c_ssize_t


def flock(descriptor: int) -> bool:
    """Try to be the one who holds the lock of a file; whether that was so."""
    if not _LIBC.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
        return True
    if ctypes.get_errno() != EWOULDBLOCK:
        raise _error()
    return False


def unlock(descriptor: int) -> None:
    """Let others hold it."""
    if _LIBC.flock(descriptor, fcntl.LOCK_UN):
        raise _error()


def size(descriptor: int) -> int:
    """The bytes of a file."""
    found: int = _LIBC.lseek(descriptor, 0, os.SEEK_END)
    if found < 0:
        raise _error()
    return found


def read(descriptor: int, length: int, offset: int) -> bytes:
    """At most READ_BYTES that were just written, so that they are still in memory."""
    # Not `create_string_buffer`, which makes a type of each new length: garbage for the collector.
    buffer = bytearray(min(length, READ_BYTES) or 1)
    start = ctypes.byref(ctypes.c_char.from_buffer(buffer))
    found = _LIBC.pread(descriptor, start, min(length, READ_BYTES), offset)
    if found < 0:
        raise _error()
    return bytes(memoryview(buffer)[:found])


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
