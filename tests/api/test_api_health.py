"""GET /healthz: what this node's workers run, and what is amiss."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from scopebound_engine.api.app import create_app
from scopebound_engine.bundle.registry.fleet import WorkerReport
from scopebound_engine.config import Config
from scopebound_engine.preparation import prepare
from scopebound_engine.wiring import Services, build_services
from tests.postgres import PostgresServer
from tests.servers import API_KEY, make_prepared


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = Config.model_validate({"data_dir": tmp_path / "data"})
    make_prepared(config.data_dir)
    return config


@pytest.fixture
def services(config: Config) -> Iterator[Services]:
    built = build_services(config)
    yield built
    built.close()


def look(services: Services) -> tuple[int, dict[str, Any]]:
    answer = falcon.testing.TestClient(create_app(services)).simulate_get("/healthz")
    return answer.status_code, answer.json


def sibling(services: Services, **changes: Any) -> WorkerReport:
    """What another worker of the same node says of itself."""
    own = services.follower.report()
    fields = {"worker_id": "sibling", "node_id": own.node_id, "pid": os.getppid(), "generation": 1}
    report = WorkerReport(**{**fields, **changes})
    services.fleet.report(report)
    return report


def change(config: Config, statement: str) -> None:
    """Change the database behind the service's back."""
    path = config.data_dir / "scopebound.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def until_problem(services: Services, words: str) -> dict[str, Any]:
    """The health once it names a problem."""
    deadline, health = time.monotonic() + 5, look(services)[1]
    while not any(words in problem for problem in health["problems"]):
        assert time.monotonic() < deadline, health
        time.sleep(0.02)
        health = look(services)[1]
    return health


def test_a_sound_node_tells_what_it_runs(services: Services) -> None:
    status, health = look(services)
    assert status == 200
    bundle = services.bundles.versions()[0]
    assert (health["status"], health["problems"], health["db_status"]) == ("ok", [], "ok")
    assert health["bundle_version"] == bundle.version == "1.0.0"
    assert (health["bundle_generation"], health["bundle_checksum"]) == (1, bundle.checksum)
    assert health["node_id"] == (services.config.data_dir / "node-id").read_text().strip()
    [worker] = health["workers"]
    assert 0 <= worker.pop("age_seconds") < 60
    assert worker == {
        "pid": os.getpid(),
        "generation": 1,
        "checksum": bundle.checksum,
        "silent_seconds": 0,
        "last_error": None,
    }


def test_the_other_workers_of_the_node_are_told_of_and_those_of_other_nodes_are_not(
    services: Services,
) -> None:
    sibling(services, loaded_at=ago(100))
    sibling(services, worker_id="elsewhere", node_id="another")
    _, health = look(services)
    assert health["status"] == "ok"
    own, other = health["workers"]
    assert (own["pid"], other["pid"]) == (os.getpid(), os.getppid())
    assert 100 <= other["age_seconds"] < 110
    assert (other["generation"], other["checksum"]) == (1, None)


def test_what_is_wrong_with_another_worker_now_degrades_the_node(services: Services) -> None:
    sibling(services, error="its copy is damaged", error_at=ago(0))
    status, health = look(services)
    assert (status, health["status"]) == (200, "degraded")
    assert health["problems"] == [f"worker {os.getppid()}: its copy is damaged"]


def test_what_was_wrong_with_a_worker_and_is_no_more_is_its_last_error(services: Services) -> None:
    sibling(services, error="its copy was damaged", error_at=ago(10))
    _, health = look(services)
    assert (health["status"], health["problems"]) == ("ok", [])
    assert health["workers"][1]["last_error"] == "its copy was damaged"


def test_a_worker_that_fell_silent_is_named(services: Services) -> None:
    sibling(services)
    change(
        services.config,
        f"UPDATE workers SET seen_us = seen_us - 5000000 WHERE pid = {os.getppid()}",
    )
    _, health = look(services)
    assert health["status"] == "degraded"
    assert health["problems"] == [f"worker {os.getppid()} was last heard of 5 s ago"]
    assert health["workers"][1]["silent_seconds"] == pytest.approx(5, abs=1)


def test_a_damaged_copy_is_named_and_what_decides_is_sound(config: Config) -> None:
    first = build_services(config)
    copy = config.data_dir / first.bundles.versions()[0].bundle_path
    data = copy.read_bytes()
    first.close()
    copy.write_bytes(data[:-1])
    services = build_services(config)
    status, health = look(services)
    assert (status, health["status"], health["bundle_generation"]) == (200, "degraded", 1)
    [problem] = health["problems"]
    assert str(copy) in problem
    assert health["workers"][0]["last_error"] == problem
    assert copy.read_bytes() == data
    services.close()


def test_a_bundle_that_is_damaged_everywhere_takes_the_node_down_and_is_named(
    config: Config,
) -> None:
    change(config, "UPDATE bundles SET bytes = substr(bytes, 2)")
    services = build_services(config)
    status, health = look(services)
    assert (status, health["status"]) == (503, "down")
    assert health["bundle_version"] is health["bundle_checksum"] is None
    assert health["workers"][0]["age_seconds"] is None
    assert any("corrupt" in problem for problem in health["problems"])
    services.close()


def test_a_damaged_row_behind_a_sound_copy_is_named(config: Config) -> None:
    build_services(config).close()
    change(config, "UPDATE bundles SET bytes = substr(bytes, 2)")
    services = build_services(config)
    health = until_problem(services, "the database's bytes")
    assert (health["status"], health["bundle_generation"]) == ("degraded", 1)
    services.close()


def test_without_the_database_the_worker_that_answers_speaks_for_itself(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    settings = {"data_dir": tmp_path / "data", "database_url": own_postgres.url()}
    config = Config.model_validate({**settings, "bootstrap_api_key": API_KEY})
    prepare(config)
    services = build_services(config)
    sibling(services)
    own_postgres.stop()
    began = time.monotonic()
    status, health = look(services)
    assert time.monotonic() - began < 1
    assert (status, health["status"], health["db_status"]) == (503, "down", "down")
    assert [worker["pid"] for worker in health["workers"]] == [os.getpid()]
    assert health["bundle_generation"] == 1
    until_problem(services, "does not answer")
    services.close()
