"""Fixtures of the tests that ask the API."""

from collections.abc import Iterator

import pytest

from tests.api.clocked import Service, clocked_service
from tests.api.pair import Pair, two_processes
from tests.postgres import Databases

BOTH = ("sqlite", "postgresql")


def new_database(request: pytest.FixtureRequest) -> str | None:
    """A new database of the fixture's kind: None for SQLite, else an empty PostgreSQL's URL."""
    if request.param == "sqlite":
        return None
    databases: Databases = request.getfixturevalue("postgres_databases")
    return databases.url(databases.create())


@pytest.fixture(scope="module", params=BOTH)
def processes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Two that serve one database: workers of a host, or nodes with a data folder each."""
    with two_processes(tmp_path_factory.mktemp("pair"), new_database(request)) as pair:
        yield pair


@pytest.fixture(scope="module", params=BOTH)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One whose clock a test sets."""
    with clocked_service(tmp_path_factory.mktemp("service"), new_database(request)) as made:
        yield made
