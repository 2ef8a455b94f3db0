"""The clerk of a real server: killed with its worker, and one for all workers of a node."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from scopebound_engine.clerk.status import SILENT_SECONDS
from scopebound_engine.database.engine import open_database, reading
from scopebound_engine.database.log_tables import decisions
from tests.load import Load
from tests.postgres import PostgresServer
from tests.processes import children, descendants, wait_until_gone
from tests.recording import records_of
from tests.servers import RunningServer, serving
from tests.watching import assert_counted, health, is_well, metrics, names, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("clerk") / "data", workers=3) as running:
        yield running


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
    until(lambda: is_shipped(server))
    [(clerk, worker)] = clerks(server).items()
    for pid in (worker, clerk):
        os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    make_records(server, "after")
    until(lambda: is_shipped(server))
    print(f"\nshipped again {time.monotonic() - killed:.1f} s after both were killed")
    [(other, of)] = clerks(server).items()
    assert other != clerk
    assert of != worker


def test_a_clerk_does_not_outlive_its_worker(server: RunningServer) -> None:
    until(lambda: len(clerks(server)) == 1)
    [(clerk, worker)] = clerks(server).items()
    os.kill(worker, signal.SIGKILL)
    assert wait_until_gone({clerk}, 5) == set()
    until(lambda: len(clerks(server)) == 1)


def test_a_clerk_that_stands_still_is_named_and_what_waits_for_it_is_counted(
    server: RunningServer,
) -> None:
    make_records(server, "counted")
    until(lambda: is_well(server))
    [clerk] = clerks(server)
    os.kill(clerk, signal.SIGSTOP)
    try:
        make_records(server, "waiting")
        until(lambda: metrics(server)["journal_lag_records"] == 1)
        until(lambda: names(server, "the clerk has been silent for"))
        until(lambda: metrics(server)["clerk_up"] == 0)
        found = metrics(server)
        assert found["journal_lag_records"] == 1
        assert found["journal_lag_seconds"] > SILENT_SECONDS - 2
    finally:
        os.kill(clerk, signal.SIGCONT)
    until(lambda: is_well(server))


def test_while_the_database_is_away_records_wait_for_it_though_the_clerk_is_killed(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    url = own_postgres.url("postgres")
    with serving(tmp_path / "data", database_url=url, workers=1) as server:
        until(lambda: metrics(server)["journal_lag_records"] == 0)
        with Load([server], rate=20, sessions=1) as load:
            own_postgres.stop()
            [clerk] = clerks(server)
            os.kill(clerk, signal.SIGKILL)
            until(lambda: clerks(server).keys() - {clerk})
            until(lambda: metrics(server)["journal_lag_records"] > 50)
            found = health(server)
            own_postgres.start()
            until(lambda: load.history[-1].decision.get("decision") == "allow")
        assert (found["status"], found["db_status"]) == ("down", "down")
        until(lambda: is_well(server))
        assert_counted(metrics(server), load.history)


def test_a_log_line_names_its_request(server: RunningServer) -> None:
    with server.client() as http:
        made = http.post("/mgmt/v1/roles", json={"name": "short-lived"}).json()
        answer = http.delete(f"/mgmt/v1/roles/{made['id']}")
    assert answer.status_code in (200, 204), answer.text
    named = f'"request_id": "{answer.headers["x-request-id"]}"'

    def is_logged() -> bool:
        lines = Path(server.log).read_text().splitlines()
        return any("role deleted" in line and named in line for line in lines)

    until(is_logged)
