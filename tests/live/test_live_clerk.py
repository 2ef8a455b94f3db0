"""The clerk of a real server: killed with its worker, and one for all workers of a node."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from scopebound_engine.database.engine import open_database, reading
from scopebound_engine.database.log_tables import decisions
from tests.processes import children, descendants, wait_until_gone
from tests.recording import records_of
from tests.servers import PLAIN, RunningServer, serving

# The aim is a few seconds; more where other tests share the processors.
PATIENCE = 30.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("clerk") / "data", workers=3) as running:
        yield running


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def clerks(server: RunningServer) -> dict[int, int]:
    """The clerks of a server, each with the worker that started it."""
    return {
        clerk: worker
        for worker in children(server.process.pid)
        for clerk, line in descendants(worker).items()
        if "scopebound_engine.clerk" in line
    }


def is_shipped(server: RunningServer) -> bool:
    """Whether all that is in the journal is in the database, each record once."""
    engine = open_database(None, server.data_dir)
    with reading(engine) as connection:
        count: int = connection.execute(select(func.count()).select_from(decisions)).scalar_one()
    engine.dispose()
    return count == len(records_of(server.data_dir)) > 0


def make_records(server: RunningServer, name: str) -> None:
    with server.client() as http:
        assert http.post("/mgmt/v1/roles", json={"name": name}).status_code == 201


def test_shipping_goes_on_when_clerk_and_worker_are_killed(server: RunningServer) -> None:
    make_records(server, "before")
    assert eventually(lambda: is_shipped(server))
    [(clerk, worker)] = clerks(server).items()
    for pid in (worker, clerk):
        os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    make_records(server, "after")
    assert eventually(lambda: is_shipped(server))
    print(f"\nshipped again {time.monotonic() - killed:.1f} s after both were killed")
    [(other, of)] = clerks(server).items()
    assert other != clerk
    assert of != worker


def test_a_clerk_does_not_outlive_its_worker(server: RunningServer) -> None:
    assert eventually(lambda: len(clerks(server)) == 1)
    [(clerk, worker)] = clerks(server).items()
    os.kill(worker, signal.SIGKILL)
    assert wait_until_gone({clerk}, 5) == set()
    assert eventually(lambda: len(clerks(server)) == 1)


def test_health_and_metrics_know_the_clerk(server: RunningServer) -> None:
    make_records(server, "counted")

    def found() -> dict[str, str]:
        text = httpx.get(f"{server.url}/metrics", **PLAIN).text
        names = (
            "scopebound_clerk_up",
            "scopebound_journal_lag_records",
            "scopebound_webhook_queue",
        )
        return dict(line.split() for line in text.splitlines() if line.startswith(names))

    expected = {
        "scopebound_clerk_up": "1.0",
        "scopebound_journal_lag_records": "0.0",
        "scopebound_webhook_queue": "0.0",
    }
    assert eventually(lambda: found() == expected), found()
    assert httpx.get(f"{server.url}/healthz", **PLAIN).json()["problems"] == []


def test_a_log_line_names_its_request(server: RunningServer) -> None:
    with server.client() as http:
        made = http.post("/mgmt/v1/roles", json={"name": "short-lived"}).json()
        answer = http.delete(f"/mgmt/v1/roles/{made['id']}")
    assert answer.status_code in (200, 204), answer.text
    named = f'"request_id": "{answer.headers["x-request-id"]}"'

    def is_logged() -> bool:
        lines = Path(server.log).read_text().splitlines()
        return any("role deleted" in line and named in line for line in lines)

    assert eventually(is_logged)
