"""Databases for tests: everything that touches one runs on SQLite and on a real PostgreSQL."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.database.sqlite import FILE_NAME
from scopebound_engine.logs import configure
from scopebound_engine.session.state.postgres import PostgresState
from scopebound_engine.session.state.seam import SessionState
from scopebound_engine.session.state.sqlite import SqliteState
from tests.postgres import Databases, PostgresServer, databases
from tests.sessions import StateClock

# These load the Rego engine into the test's own process.
_ENGINE_TESTS = ("tests/rego", "tests/bundle")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop where the Rego engine would meet google-re2: mixed C++ runtimes abort the process."""
    names = [item.nodeid for item in session.items]
    if "re2" in sys.modules and any(name.startswith(_ENGINE_TESTS) for name in names):
        pytest.exit(
            "the Rego engine and google-re2 cannot share a process: run `make test`, or "
            f"{' and '.join(_ENGINE_TESTS)} apart from the rest",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )


@pytest.fixture(scope="session", autouse=True)
def _logs_as_served() -> None:
    """Log as a server does; structlog's default for terminals renders tracebacks at length."""
    configure()


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[Databases]:
    """Where databases are made; the server starts with the first test that needs one."""
    with databases() as made:
        yield made


@pytest.fixture(scope="session")
def migrated_template(
    postgres_databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The name of a migrated database, to be copied."""
    name = postgres_databases.create()
    engine = open_database(postgres_databases.url(name), tmp_path_factory.mktemp("template"))
    migrate(engine)
    engine.dispose()
    return name


@pytest.fixture
def empty_postgres_url(postgres_databases: Databases) -> Iterator[str]:
    """The URL of a new PostgreSQL database without a schema."""
    name = postgres_databases.create()
    yield postgres_databases.url(name)
    postgres_databases.drop(name)


@pytest.fixture
def postgres_url(postgres_databases: Databases, migrated_template: str) -> Iterator[str]:
    """The URL of a new, migrated PostgreSQL database."""
    name = postgres_databases.create(migrated_template)
    yield postgres_databases.url(name)
    postgres_databases.drop(name)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that the test may stop and freeze."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """What SCOPEBOUND_DATABASE_URL would be: None for SQLite, else a migrated PostgreSQL."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated embedded database, to be copied: that is ten times as fast as to migrate one."""
    folder = tmp_path_factory.mktemp("migrated")
    engine = open_database(None, folder)
    migrate(engine)
    engine.dispose()
    return folder / FILE_NAME


@pytest.fixture
def database(
    database_url: str | None, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Engine]:
    """A new, migrated database; SQLite's lies in tmp_path."""
    if database_url is None:
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path)
    engine = open_database(database_url, tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def state_clock(database: Engine) -> StateClock:
    """The clock of `state`."""
    return StateClock(database)


@pytest.fixture
def state(
    database_url: str | None, tmp_path: Path, state_clock: StateClock
) -> Iterator[SessionState]:
    """Session state beside `database`, empty."""
    made: SessionState = (
        PostgresState(database_url)
        if database_url
        else SqliteState(tmp_path, microseconds=state_clock.microseconds)
    )
    yield made
    made.close()
