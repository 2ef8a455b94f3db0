"""Session state of one host: a SQLite file that its workers share, one short transaction a call.

The file is named after the boot of the machine. Nothing is synced to the disk, which is safe
against a killed process but not against a crash of the machine: after one, the file of the former
boot could be whole, rolled back or torn. So it is never looked at again; the new boot begins with a
new file, in which no session is known and every bucket is empty. Time is the clock since that
boot, which nobody can set.

Roles and activations are read where they are kept: the same connection attaches the database file,
read-only. A transaction on the state file then holds a snapshot of both, and waits for no writer of
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

from scopebound_engine.database import sqlite
from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import (
    ConfigError,
    DatabaseUnavailableError,
    StateUnavailableError,
)
from scopebound_engine.session.state import (
    HOUR_US,
    MINUTE_US,
    SessionFacts,
    facts,
    refilled,
    revoked_reason,
)

_Execute = Callable[..., sqlite3.Cursor]

_WAIT_SECONDS: Final = 0.1
_LOOK_AGAIN_SECONDS: Final = 50e-6
_SWEPT_AT_ONCE: Final = 20
_SWEEP_MARGIN_SECONDS: Final = 300
_LONGEST_SESSION_SECONDS: Final = 86_400

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS session_buckets (
    session_id   TEXT    PRIMARY KEY,
    minute_units INTEGER NOT NULL,
    hour_units   INTEGER NOT NULL,
    touched_us   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_session_buckets_expires_at ON session_buckets (expires_at);
"""
_INSERT: Final = "INSERT OR IGNORE INTO session_buckets VALUES (?, ?, ?, ?, ?)"
_SELECT: Final = (
    "SELECT minute_units, hour_units, touched_us FROM session_buckets WHERE session_id = ?"
)
_UPDATE: Final = (
    "UPDATE session_buckets SET minute_units = ?, hour_units = ?, touched_us = ? "
    "WHERE session_id = ?"
)
# Always one row; `role` is null where there is no such role.
_IN_FORCE: Final = (
    "SELECT bundle.generation, role.id, role.suspended_reason FROM "
    "(SELECT coalesce(max(generation), 0) AS generation FROM stored.activations) AS bundle "
    "LEFT JOIN stored.roles AS role ON role.id = ?"
)
_SWEEP: Final = (
    "DELETE FROM session_buckets WHERE session_id IN "
    "(SELECT session_id FROM session_buckets WHERE expires_at < ? LIMIT ?)"
)


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

    def __init__(self, path: Path) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        with alone(path.with_name("state.lock"), seconds=_WAIT_SECONDS):
            path.touch(mode=0o600)
            self.connection = sqlite3.connect(
                path.as_uri(),
                timeout=_WAIT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = OFF")
            self.connection.executescript(_SCHEMA)
            stored = path.with_name(sqlite.FILE_NAME).as_uri() + "?mode=ro"
            self.connection.execute("ATTACH ? AS stored", (stored,))
            self.connection.execute("PRAGMA busy_timeout = 0")  # begin() waits instead
            _remove_other_boots(path)

    @contextmanager
    def transaction(self) -> Iterator[_Execute]:
        """Be the one writer of the host. Raises sqlite3.Error, TimeoutError."""
        if not self._lock.acquire(timeout=_WAIT_SECONDS):
            raise TimeoutError("the other calls of this process kept it busy")
        try:
            self._begin()
            with self.connection:
                yield self.connection.execute
        finally:
            self._lock.release()

    def _begin(self) -> None:
        # SQLite's own waiting would sleep up to 100 ms between two looks.
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return


class SqliteState:
    """SessionState in a data folder. Opened by each process on its first call."""

    def __init__(
        self,
        data_dir: Path,
        *,
        boot: str | None = None,
        microseconds: Callable[[], int] = microseconds_since_boot,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = data_dir.absolute() / f"state-{boot or boot_id()}.db"
        self._microseconds, self._clock = microseconds, clock
        self._opening = threading.Lock()
        self._worker: _Worker | None = None
        self._inherited: _Worker | None = None

    def open(self, session_id: str, per_minute: int, per_hour: int, expires_at: int) -> None:
        """See SessionState."""
        if per_minute == 0 == per_hour:
            return
        with self._transaction() as execute:
            execute(_SWEEP, (int(self._clock()) - _SWEEP_MARGIN_SECONDS, _SWEPT_AT_ONCE))
            units = (per_minute * MINUTE_US, per_hour * HOUR_US)
            execute(_INSERT, (session_id, *units, self._microseconds(), expires_at))

    def enter(self, session_id: str, role_id: str, per_minute: int, per_hour: int) -> SessionFacts:
        """See SessionState."""
        minute = hour = 0
        with self._transaction() as execute:
            generation, role, suspended = execute(_IN_FORCE, (role_id,)).fetchone()
            if per_minute or per_hour:
                minute, hour = self._take(execute, session_id, per_minute, per_hour)
        revoked = revoked_reason(role is not None, suspended)
        return facts(per_minute, per_hour, minute, hour, revoked, generation)

    def _take(
        self, execute: _Execute, session_id: str, per_minute: int, per_hour: int
    ) -> tuple[int, int]:
        """The units found in both buckets, from which a token is taken if both have one."""
        row = execute(_SELECT, (session_id,)).fetchone()
        now = self._microseconds()
        if row is None:
            expires_at = int(self._clock()) + _LONGEST_SESSION_SECONDS
            execute(_INSERT, (session_id, 0, 0, now, expires_at))
            return 0, 0
        minute_units, hour_units, touched = row
        minute = refilled(minute_units, per_minute, now - touched, MINUTE_US)
        hour = refilled(hour_units, per_hour, now - touched, HOUR_US)
        granted = facts(per_minute, per_hour, minute, hour).granted
        minute_left = minute - MINUTE_US if granted and per_minute else minute
        hour_left = hour - HOUR_US if granted and per_hour else hour
        execute(_UPDATE, (minute_left, hour_left, now, session_id))
        return minute, hour

    def close(self) -> None:
        """See SessionState."""
        worker, self._worker = self._worker, None
        if worker is not None and worker.pid == os.getpid():
            worker.connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[_Execute]:
        try:
            with self._own_worker().transaction() as execute:
                yield execute
        except (sqlite3.Error, OSError, ConfigError, DatabaseUnavailableError) as error:
            if not _is_busy(error):
                self.close()  # the next call opens it anew
            raise StateUnavailableError(
                f"session state in {self._path} is out of reach: {error}; check that its folder "
                "is writable and has room, and that no stopped process holds it"
            ) from error

    def _own_worker(self) -> _Worker:
        worker = self._worker
        if worker is not None and worker.pid == os.getpid():
            return worker
        with self._opening:
            if self._worker is None or self._worker.pid != os.getpid():
                # Closing a connection that a fork inherited would disturb the parent's locks.
                self._inherited = self._worker
                self._worker = _Worker(self._path)
            return self._worker


def _is_busy(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)  # absent where the driver itself refuses
        return bool(code & 0xFF == sqlite3.SQLITE_BUSY)
    return isinstance(error, TimeoutError)


def _remove_other_boots(path: Path) -> None:
    for other in path.parent.glob("state-*.db*"):
        if not other.name.startswith(path.name):
            other.unlink(missing_ok=True)
