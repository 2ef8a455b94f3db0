"""The SQLite file that the workers of one host share for session state, and how one is its writer.

The file is named after the boot of the machine. Nothing is synced to the disk, which is safe
against a killed process but not against a crash of the machine: after one, the file of the former
boot could be whole, rolled back or torn. So it is never looked at again; the new boot begins with a
new file, in which there is nothing.

The database is read where it is kept: the same connection attaches its file, read-only, as
`stored`. A transaction on the state file then holds a snapshot of both, and waits for no writer of
the database.
"""

import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scopebound_engine import baton, budget
from scopebound_engine.database import sqlite
from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import (
    ConfigError,
    DatabaseUnavailableError,
    StateUnavailableError,
)

Execute = Callable[..., sqlite3.Cursor]

# For one's turn in the process and for the file together. Whoever writes takes 0.1 ms of processor
# for it, but where the machine's processors or its disk have more to do than they can, it holds the
# file for 60 to 600 ms: it waits for Python's interpreter between two statements, or in a write.
_WAIT_SECONDS: Final = 0.4
# When a call of this process just waited in vain: a writer that is stopped must not take all
# threads with it.
_WAIT_AGAIN_SECONDS: Final = 0.1
# Once in the life of a process; all workers of a host may begin at once.
_OPEN_SECONDS: Final = 0.5
_LOOK_AGAIN_SECONDS: Final = 50e-6


def boot_id() -> str:
    """What names this boot of the machine: Linux's random boot_id, macOS's kern.bootsessionuuid.

    Raises StateUnavailableError elsewhere.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        pass
    try:
        command = ["sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise StateUnavailableError(
            "this system does not name its boots, so embedded session state could not tell "
            "what a crash undid; name a PostgreSQL with SCOPEBOUND_DATABASE_URL"
        ) from error


def microseconds_since_boot() -> int:
    """The same on every process of the host; it cannot be set."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1000


class _Worker:
    """One process's connection, used by one thread at a time."""

    def __init__(self, path: Path, schema: str, by: float) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._patience = _WAIT_SECONDS
        with alone(path.with_name("state.lock"), seconds=by - time.monotonic()):
            path.touch(mode=0o600)
            self.connection = sqlite3.connect(
                path.as_uri(),
                timeout=max(0.0, by - time.monotonic()),
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
            # First: to change the mode of a new file would wait for the disk.
            self.connection.execute("PRAGMA synchronous = OFF")
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.executescript(schema)
            stored = path.with_name(sqlite.FILE_NAME).as_uri() + "?mode=ro"
            self.connection.execute("ATTACH ? AS stored", (stored,))
            self.connection.execute("PRAGMA busy_timeout = 0")  # begin_writing() waits
            _remove_other_boots(path)

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """Be the one writer of the host. Raises sqlite3.Error, TimeoutError."""
        seconds = budget.left(self._patience)
        by = time.monotonic() + seconds
        if not self._take(seconds):
            raise TimeoutError("the other calls of this process kept it busy")
        try:
            self._begin(by)
            with self.connection:
                yield self.connection.execute
        finally:
            self._lock.release()

    def _take(self, seconds: float) -> bool:
        if self._lock.acquire(blocking=False):
            return True
        with baton.lent():
            return self._lock.acquire(timeout=seconds)

    def _begin(self, by: float) -> None:
        """The only wait: its snapshot holds `stored` too, and no later statement takes a lock."""
        try:
            sqlite.begin_writing(self.connection, by, _LOOK_AGAIN_SECONDS)
        except sqlite3.Error as error:
            if not budget.is_spent():
                self._patience = _WAIT_AGAIN_SECONDS
            error.add_note("at BEGIN IMMEDIATE")
            raise
        self._patience = _WAIT_SECONDS


class StateFile:
    """The file of one boot in a data folder. Opened by each process on its first use."""

    def __init__(self, data_dir: Path, boot: str, schema: str) -> None:
        self._path = data_dir.absolute() / f"state-{boot}.db"
        self._schema = schema
        self._opening = threading.Lock()
        self._worker: _Worker | None = None
        self._inherited: _Worker | None = None

    def close(self) -> None:
        """Let go of it; the next use opens it again."""
        worker, self._worker = self._worker, None
        if worker is not None and worker.pid == os.getpid():
            worker.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """Be the one writer of the host. Raises StateUnavailableError."""
        try:
            with self._own_worker().transaction() as execute:
                yield execute
        except (sqlite3.Error, OSError, ConfigError, DatabaseUnavailableError) as error:
            if not _is_busy(error):
                self.close()  # the next call opens it anew
            raise StateUnavailableError(
                f"session state in {self._path} is out of reach: {_told(error)}; check that its "
                "folder is writable and has room, and that no stopped process holds it"
            ) from error

    def _own_worker(self) -> _Worker:
        worker = self._worker
        if worker is not None and worker.pid == os.getpid():
            return worker
        seconds = budget.left(_OPEN_SECONDS)
        by = time.monotonic() + seconds
        if not self._opening.acquire(timeout=seconds):
            raise TimeoutError("another call of this process was opening it for too long")
        try:
            if self._worker is None or self._worker.pid != os.getpid():
                # Closing a connection that a fork inherited would disturb the parent's locks.
                self._inherited = self._worker
                self._worker = _Worker(self._path, self._schema, by)
            return self._worker
        finally:
            self._opening.release()


def _is_busy(error: Exception) -> bool:
    return isinstance(error, (TimeoutError, DatabaseUnavailableError)) or (
        isinstance(error, sqlite3.Error) and sqlite.is_busy(error)
    )


def _told(error: Exception) -> str:
    """The error, with what SQLite calls it, which of several locks it was, and its statement."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return " ".join([f"{name}:", str(error), *getattr(error, "__notes__", ())])


def _remove_other_boots(path: Path) -> None:
    for other in path.parent.glob("state-*.db*"):
        if not other.name.startswith(path.name):
            other.unlink(missing_ok=True)
