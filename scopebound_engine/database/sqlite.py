"""The embedded database: a SQLite file in the data folder, and what it takes to use one safely."""

import sqlite3
import time
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from scopebound_engine import baton
from scopebound_engine.errors import ConfigError

FILE_NAME: Final = "scopebound.db"
# An execution option: what begins is a reading transaction.
READING: Final = "scopebound_reading"
# Another: until when, a time of `time.monotonic()`, a writing transaction may wait to begin.
WRITING_BY: Final = "scopebound_writing_by"

_BUSY_SECONDS: Final = 0.5
_LOOK_AGAIN_SECONDS: Final = 0.001


def make_file(data_dir: Path) -> URL:
    """The URL of the folder's database, whose file is made for this user only.

    Raises ConfigError.
    """
    path = data_dir.absolute() / FILE_NAME
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise unwritable(data_dir, error) from error
    return URL.create("sqlite", database=str(path))


def unwritable(data_dir: Path, error: OSError) -> ConfigError:
    """What to say when the data folder cannot be written."""
    return ConfigError(
        f"cannot write to the data folder {data_dir}: {error.strerror}; "
        "make it writable or name another with SCOPEBOUND_DATA_DIR"
    )


def prepare(engine: Engine) -> None:
    """Set up every connection and every transaction of the engine."""
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begin)


def begin_writing(connection: sqlite3.Connection, by: float, look_again_seconds: float) -> None:
    """Become the one writer of the file, at the latest at `by`, a time of `time.monotonic()`.

    SQLite's own waiting has no queue and sleeps up to 100 ms between two looks, so that others who
    write again and again go before. It must be off on this connection. Raises sqlite3.Error.
    """
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > by:
                raise
            with baton.lent():
                time.sleep(look_again_seconds)
        else:
            return


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection is in the way, and nothing else."""
    code = getattr(error, "sqlite_errorcode", 0)  # absent where the driver itself refuses
    return bool(code & 0xFF == sqlite3.SQLITE_BUSY)


def _connected(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    # The driver's own transactions begin as readers, and a reader that turns writer may fail.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    _wait_in_sqlite(connection, _BUSY_SECONDS)


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(READING, False):
        connection.exec_driver_sql("BEGIN")
        return
    driver = cast(sqlite3.Connection, connection.connection.dbapi_connection)
    by = options.get(WRITING_BY, time.monotonic() + _BUSY_SECONDS)
    _wait_in_sqlite(driver, 0)
    try:
        begin_writing(driver, by, _LOOK_AGAIN_SECONDS)
    finally:
        _wait_in_sqlite(driver, _BUSY_SECONDS)


def _wait_in_sqlite(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def write_ahead(connection: Any) -> None:
    """Let readers not wait for writers; the mode stays with the file. Raises ConfigError.

    `connection` is the driver's: inside a transaction the mode cannot be changed.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    (mode,) = cursor.fetchone()
    if mode != "wal":
        raise ConfigError(
            f"SQLite cannot use write-ahead logging in the data folder: it stays at {mode!r}; name "
            "a folder on a local disk with SCOPEBOUND_DATA_DIR, or a PostgreSQL with "
            "SCOPEBOUND_DATABASE_URL"
        )
