"""The state file of a host is opened by all its workers at once, or not at all."""

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import StateUnavailableError
from scopebound_engine.session.state.sqlite import SqliteState

WORKERS = 4
LATER = 4_000_000_000


def open_now(folder: Path) -> None:
    SqliteState(folder).open("s", 1, 1, LATER)


@pytest.fixture(autouse=True)
def _database(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path)
    migrate(engine)
    engine.dispose()


def test_workers_that_open_it_at_once_all_do(tmp_path: Path) -> None:
    with ProcessPoolExecutor(WORKERS, get_context("fork")) as workers:
        workers.submit(int).result(5)  # all are forked before, or they would inherit the lock
        with alone(tmp_path / "state.lock"):  # as a worker does that makes the file on a slow disk
            opened = [workers.submit(open_now, tmp_path) for _ in range(WORKERS)]
            time.sleep(0.2)
        for worker in opened:
            worker.result(5)


def test_calls_that_cannot_open_it_end_together_and_in_time(tmp_path: Path) -> None:
    state = SqliteState(tmp_path)

    def seconds_until_refused(_: int) -> float:
        began = time.monotonic()
        with pytest.raises(StateUnavailableError, match="out of reach"):
            state.open("s", 1, 1, LATER)
        return time.monotonic() - began

    with alone(tmp_path / "state.lock"), ThreadPoolExecutor(WORKERS) as threads:
        assert max(threads.map(seconds_until_refused, range(WORKERS))) < 1.0
    state.open("s", 1, 1, LATER)
    state.close()
