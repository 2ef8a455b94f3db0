"""PostgreSQL connections that never wait longer than they were told to.

The server's own statement_timeout is no help when the server is frozen or the network swallows
packets, and libpq rounds connect timeouts up to two seconds and none of them bounds a name look-up.
So both bounds are kept on this side.
"""

import threading
import time
from collections.abc import Generator
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy import URL, Connection, Dialect, text
from sqlalchemy.exc import ArgumentError

from scopebound_engine import budget
from scopebound_engine.database import hosts
from scopebound_engine.errors import ConfigError

CONNECT_SECONDS: Final = 0.5
SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
_ABANDONED_CONNECT_SECONDS: Final = 2
# Also for a call that has no time left, or what it began would break its connection.
_LEAST_SECONDS: Final = 0.02

_EXAMPLE: Final = (
    "write it as postgresql://user:password@host:5432/database, "
    "or leave it out for the embedded SQLite database"
)

T = TypeVar("T")


class SilentServerError(psycopg.OperationalError):
    """The server did not answer in time; the connection was closed."""


class PatientConnection(psycopg.Connection[TupleRow]):
    """A connection whose server may be silent for `patience_seconds` (None: for ever).

    A call that has less time left waits less.
    """

    patience_seconds: float | None = None

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Run one exchange with the server. Raises SilentServerError when it is late."""
        if self.patience_seconds is None:
            return super().wait(gen, *args, **kwargs)
        seconds = max(budget.left(self.patience_seconds), _LEAST_SECONDS)
        try:
            return super().wait(_impatient(gen), interval=seconds)
        except TimeoutError as error:
            # Its answer may still arrive, and would be taken for that of the next statement.
            self.pgconn.finish()
            raise SilentServerError(_silent(seconds, self.patience_seconds)) from error


def _silent(seconds: float, patience: float) -> str:
    why = "" if seconds == patience else ", and the call has no more time"
    return f"the server was silent for {seconds:.2g} s{why}"


def _impatient(gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """The same exchange, but psycopg's wake-up call after `interval` of silence ends it."""
    try:
        wanted = next(gen)
        while True:
            if not (ready := (yield wanted)):
                raise TimeoutError
            wanted = gen.send(ready)
    except StopIteration as stop:
        result: T = stop.value
        return result


def parse_url(url: str, *, statement_seconds: float) -> URL:
    """The URL of a PostgreSQL database on one or more hosts, where a statement may take so long.

    The bound is the server's: it ends what a client that gave up has left behind. Raises
    ConfigError, which does not repeat the URL: it may hold a password.
    """
    try:
        parsed = hosts.read(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"SCOPEBOUND_DATABASE_URL is not a URL; {_EXAMPLE}") from error
    if parsed.drivername not in SCHEMES:
        raise ConfigError(
            f"SCOPEBOUND_DATABASE_URL begins with {parsed.drivername!r}, "
            f"but only PostgreSQL can be named there; {_EXAMPLE}"
        )
    options = (*parsed.normalized_query.get("options", ()), _timeout(statement_seconds))
    return parsed.set(drivername="postgresql+psycopg").update_query_dict(
        {"options": " ".join(options)}
    )


def connect_arguments(url: URL) -> dict[str, Any]:
    """The libpq parameters of a URL."""
    dialect: Dialect = url.get_dialect()()
    _, arguments = dialect.create_connect_args(url)
    return dict(arguments)


def bound_statements(connection: Connection, seconds: float) -> None:
    """Let the server give each statement of this transaction so long."""
    connection.execute(
        text("SELECT set_config('statement_timeout', :milliseconds, true)"),
        {"milliseconds": str(int(seconds * 1000))},
    )


def lock(connection: Connection, name: str) -> None:
    """Wait until no other transaction holds the lock of this name; held until the end."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"scopebound.{name}"},
    )


def _timeout(seconds: float) -> str:
    return f"-c statement_timeout={int(seconds * 1000)}"


def connect(patience_seconds: float | None, **arguments: Any) -> PatientConnection:
    """A new connection within CONNECT_SECONDS, whose server may be silent for `patience_seconds`.

    A call that has less time left waits less. `arguments` are psycopg's and libpq's. Of several
    hosts each has an equal share of the time that those before it left over, so one that hangs is
    passed over. Raises psycopg.Error, LateCallError.
    """
    arguments.setdefault("connect_timeout", _ABANDONED_CONNECT_SECONDS)
    budget.require("the database")
    deadline = time.monotonic() + budget.left(CONNECT_SECONDS)
    attempts = hosts.attempts(arguments)
    failures: list[psycopg.OperationalError] = []
    for left, attempt in zip(range(len(attempts), 0, -1), attempts, strict=True):
        try:
            connection = _connect_within(max(deadline - time.monotonic(), 0) / left, attempt)
        except psycopg.OperationalError as error:
            failures.append(error)
        else:
            connection.patience_seconds = patience_seconds
            return connection
    raise psycopg.OperationalError("; ".join(str(one).strip() for one in failures)) from failures[0]


def _connect_within(seconds: float, arguments: dict[str, Any]) -> PatientConnection:
    outcome: SimpleQueue[PatientConnection | psycopg.Error] = SimpleQueue()
    abandoned = threading.Event()
    threading.Thread(
        target=_connect, args=(arguments, outcome, abandoned), name="connect", daemon=True
    ).start()
    try:
        result = outcome.get(timeout=seconds)
    except Empty as error:
        abandoned.set()
        named = (str(arguments[name]) for name in ("host", "port") if arguments.get(name))
        raise psycopg.OperationalError(
            f"no connection to {':'.join(named) or 'the server'} within {seconds:.2f} s"
        ) from error
    if isinstance(result, psycopg.Error):
        raise result
    return result


def _connect(
    arguments: dict[str, Any],
    outcome: SimpleQueue[PatientConnection | psycopg.Error],
    abandoned: threading.Event,
) -> None:
    try:
        connection = PatientConnection.connect(**arguments)
    except psycopg.Error as error:
        outcome.put(error)
        return
    if abandoned.is_set():
        connection.close()
    else:
        outcome.put(connection)
