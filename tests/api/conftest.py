"""Fixtures of the tests that ask the API."""

from collections.abc import Iterator

import pytest

from tests.api.pair import Pair, two_processes
from tests.postgres import Databases


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def processes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Two that serve one database: workers of a host, or nodes with a data folder each."""
    url = None
    if request.param == "postgresql":
        databases: Databases = request.getfixturevalue("postgres_databases")
        url = databases.url(databases.create())
    with two_processes(tmp_path_factory.mktemp("pair"), url) as pair:
        yield pair
