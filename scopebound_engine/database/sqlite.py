"""The embedded database: a SQLite file in the data folder, and what it takes to use one safely."""

import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from scopebound_engine.errors import ConfigError

FILE_NAME: Final = "scopebound.db"
# An execution option: what begins is a reading transaction.
READING: Final = "scopebound_reading"


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


def wait_for_writers(connection: sqlite3.Connection, seconds: float) -> None:
    """Let a transaction of this connection wait so long until it may write."""
    connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def _connected(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    # The driver's own transactions begin as readers, and a reader that turns writer may fail.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    is_reading = connection.get_execution_options().get(READING, False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


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
