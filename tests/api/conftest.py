"""Fixtures of the tests that ask the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from falcon.testing import TestClient

from scopebound_engine.api.app import create_app
from scopebound_engine.config import Config
from scopebound_engine.preparation import prepare
from scopebound_engine.wiring import build_services
from tests.api.bundle_api import BundleApi, on_database
from tests.api.clocked import Agent, Service, clocked_service
from tests.api.pair import Pair, two_processes
from tests.bundles import quick_policies
from tests.postgres import Databases
from tests.servers import API_KEY

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


@pytest.fixture
def agent(service: Service) -> Agent:
    """A session whose role allows one tool, `read`."""
    return service.session(service.role("read"))


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Service]:
    """A service of its own, which masks an argument of every call."""
    config = Config.model_validate(
        {
            "data_dir": tmp_path / "data",
            "bootstrap_api_key": API_KEY,
            "policies": quick_policies(tmp_path),
            "evaluators": 1,
            "evaluation_deadline_ms": 1_000,
            "log_mask": "/call_args/iban",
        }
    )
    prepare(config)
    services = build_services(config)
    http = TestClient(create_app(services), headers={"X-Scopebound-API-Key": API_KEY})
    yield Service(services, services.clock, http)  # type: ignore[arg-type]
    services.close()


@pytest.fixture(scope="module", params=BOTH)
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BundleApi]:
    """One whose bundles change, with its first in force."""
    with on_database(request, tmp_path_factory) as made:
        yield made
