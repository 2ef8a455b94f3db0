"""The database: opened and migrated here, and every use of it passes `transaction` or `reading`.

SQLite in the data folder unless a PostgreSQL URL is configured. Nothing here waits long: a database
that does not answer is a DatabaseUnavailableError before the client of a request gives up.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import sqlalchemy
from sqlalchemy import Connection, Dialect, Engine, event, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from scopebound_engine import baton, budget
from scopebound_engine.database import history, postgres, sqlite
from scopebound_engine.database.lockfile import alone
from scopebound_engine.database.pool import CallPool
from scopebound_engine.database.turns import Turns
from scopebound_engine.errors import DatabaseUnavailableError

# Reads stand in the way of an enforce call; writes belong to management and may wait longer.
READ_SECONDS: Final = 0.4
WRITE_SECONDS: Final = 5.0
MIGRATION_SECONDS: Final = 60.0
# A change of the embedded database that takes no turns with others, such as a new session: a client
# that gives up after two seconds must still learn that there is none.
SQLITE_WRITE_SECONDS: Final = 1.5
# Parameters are hidden in errors because they hold secrets, which would reach the log.
_SETTINGS: Final = {
    "pool_size": 5,
    "max_overflow": 5,
    "pool_timeout": READ_SECONDS,
    "hide_parameters": True,
}

# With the turn of their writers: SQLite has one writer at a time, and whoever waits here holds none
# of the connections that readers need.
_opened: WeakKeyDictionary[Engine, Turns] = WeakKeyDictionary()


def open_database(config_url: str | None, data_dir: Path) -> Engine:
    """The database of a URL, or the embedded one of a data folder; nothing is connected yet.

    Raises ConfigError when the URL names no PostgreSQL or the data folder cannot be written.
    """
    if config_url is None:
        url = sqlite.make_file(data_dir)
        engine = sqlalchemy.create_engine(url, poolclass=CallPool, **_SETTINGS)
        sqlite.prepare(engine)
    else:
        url = postgres.parse_url(config_url, statement_seconds=WRITE_SECONDS)
        engine = sqlalchemy.create_engine(url, poolclass=CallPool, pool_pre_ping=True, **_SETTINGS)
        event.listen(engine, "handle_error", _keep_other_connections)
        event.listen(engine, "do_connect", _connect_postgres)
    _opened[engine] = Turns()
    return engine


def migrate(engine: Engine) -> None:
    """Upgrade to the newest schema, all of it or nothing; any number of nodes may do so at once.

    Raises ConfigError when a newer program made the database, DatabaseUnavailableError.
    """
    path = Path(engine.url.database or "")
    is_sqlite = engine.dialect.name == "sqlite"
    with alone(path.with_name("migrate.lock")) if is_sqlite else nullcontext():
        if is_sqlite:
            with errors_named(engine), closing(engine.raw_connection()) as raw:
                sqlite.write_ahead(raw)
        with transaction(engine, lock="migrate", seconds=MIGRATION_SECONDS) as connection:
            history.upgrade(connection, place(engine))


def answers(engine: Engine) -> bool:
    """Whether the database answers a query now."""
    try:
        with reading(engine) as connection:
            connection.execute(select(1))
    except DatabaseUnavailableError:
        return False
    return True


@contextmanager
def transaction(
    engine: Engine, *, lock: str = "", seconds: float = WRITE_SECONDS
) -> Iterator[Connection]:
    """One writing transaction, committed at the end of the block.

    All transactions with the same `lock` run one after the other, on all nodes. `seconds` bounds
    each statement, and with it the wait for that lock. (SQLite has one writer at a time anyway:
    without a `lock` it is waited for SQLITE_WRITE_SECONDS.) Raises DatabaseUnavailableError,
    LateCallError.
    """
    budget.require("the database")
    if engine.dialect.name == "sqlite":
        writing = _writing_sqlite(engine, seconds if lock else SQLITE_WRITE_SECONDS)
    else:
        writing = _writing_postgres(engine, lock, seconds)
    with baton.lent(), errors_named(engine), writing as connection:
        yield connection


@contextmanager
def reading(engine: Engine, seconds: float = READ_SECONDS) -> Iterator[Connection]:
    """One consistent snapshot to read from; `seconds` bounds each wait for PostgreSQL.

    Raises DatabaseUnavailableError, LateCallError.
    """
    budget.require("the database")
    options: dict[str, Any] = {sqlite.READING: True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with (
        baton.lent(),
        errors_named(engine),
        engine.connect() as connection,
        _patience(connection, seconds),
    ):
        yield connection.execution_options(**options)


@contextmanager
def errors_named(engine: Engine) -> Iterator[None]:
    """The seam where a driver's errors become DatabaseUnavailableError.

    Broken constraints and mistakes in a statement are not the database's fault and pass.
    """
    try:
        yield
    except (IntegrityError, DataError, ProgrammingError):
        raise
    except (DBAPIError, PoolTimeoutError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise DatabaseUnavailableError(
            f"the database {place(engine)} does not answer: {str(cause).strip()}; "
            "check that it runs, has room on its disk, and that SCOPEBOUND_DATABASE_URL names it"
        ) from error


def place(engine: Engine) -> str:
    """Where the database is, for messages; never with its password."""
    return engine.url.difference_update_query(["options"]).render_as_string(hide_password=True)


def _connect_postgres(
    _dialect: Dialect, _record: ConnectionPoolEntry, _: object, arguments: dict[str, Any]
) -> postgres.PatientConnection:
    return postgres.connect(READ_SECONDS, **arguments)


def _keep_other_connections(context: ExceptionContext) -> None:
    """Of a server that is silent all connections are given up, but not for a call that is late."""
    if budget.is_spent():
        context.invalidate_pool_on_disconnect = False


@contextmanager
def _writing_postgres(engine: Engine, lock: str, seconds: float) -> Iterator[Connection]:
    with engine.connect() as connection, _patience(connection, seconds), connection.begin():
        if seconds != WRITE_SECONDS:
            postgres.bound_statements(connection, seconds)
        if lock:
            postgres.lock(connection, lock)
        yield connection


@contextmanager
def _patience(connection: Connection, seconds: float) -> Iterator[None]:
    driver = connection.connection.dbapi_connection
    if not isinstance(driver, postgres.PatientConnection):
        yield
        return
    driver.patience_seconds = seconds
    try:
        yield
    finally:
        driver.patience_seconds = READ_SECONDS


@contextmanager
def _writing_sqlite(engine: Engine, seconds: float) -> Iterator[Connection]:
    by = time.monotonic() + seconds
    with (
        _opened[engine].take(seconds),
        engine.connect().execution_options(**{sqlite.WRITING_BY: by}) as connection,
        connection.begin(),
    ):
        yield connection


def _close_idle_connections() -> None:
    for engine in list(_opened):
        engine.dispose()


# A connection must not be shared with a forked child: both open their own after the fork.
os.register_at_fork(before=_close_idle_connections)
