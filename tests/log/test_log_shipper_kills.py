"""Shippers killed at any moment: every line is stored once all the same."""

import os
import random
import signal
import time
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from scopebound_engine.database.engine import migrate, open_database, reading
from scopebound_engine.database.log_tables import HOUR_US, call_counts, decisions
from scopebound_engine.errors import DatabaseUnavailableError
from scopebound_engine.log.shipper import Shipper
from tests.journals import NODE, Written, denied
from tests.postgres import PostgresServer

FORK = get_context("fork")
ROUNDS = 8
LINES = 150


def ship_for_ever(url: str | None, data_dir: Path, folder: Path) -> None:
    shipper = Shipper(open_database(url, data_dir), folder, NODE)
    while True:
        with suppress(DatabaseUnavailableError):
            shipper.run()
        time.sleep(0.001)


def check(database: Engine, journal: Written) -> None:
    """All lines are there once, and counted once."""
    with reading(database) as connection:
        lines = connection.execute(select(decisions.c.line).order_by(decisions.c.seq)).scalars()
        assert list(lines) == journal.texts()
        hours = select(call_counts.c.calls).where(call_counts.c.span_us == HOUR_US)
        assert sum(connection.execute(hours).scalars()) == len(journal.lines)


def ship_with_kills(
    url: str | None, tmp_path: Path, journal: Written, chosen: random.Random
) -> None:
    """Write lines while two processes ship them, which are killed again and again."""
    for _ in range(ROUNDS):
        arguments = (url, tmp_path, journal.folder)
        children = [FORK.Process(target=ship_for_ever, args=arguments) for _ in range(2)]
        for child in children:
            child.start()
        for _ in range(chosen.randrange(1, 6)):
            journal.append(*(denied(len(journal.lines)) for _ in range(chosen.randrange(LINES))))
            if chosen.random() < 0.3:
                journal.rotate()
            time.sleep(chosen.random() * 0.1)
        for child in children:
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            child.join()


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_shippers_leave_every_line_once(
    database: Engine, database_url: str | None, tmp_path: Path, seed: int
) -> None:
    journal = Written(tmp_path / "log")
    ship_with_kills(database_url, tmp_path, journal, random.Random(seed))
    shipper = Shipper(database, journal.folder, NODE)
    shipper.run()
    check(database, journal)
    assert shipper.problems == ()


def test_a_killed_server_leaves_every_line_once(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    journal, chosen = Written(tmp_path / "log"), random.Random(3)
    database = open_database(own_postgres.url(), tmp_path)
    migrate(database)
    arguments = (own_postgres.url(), tmp_path, journal.folder)
    child = FORK.Process(target=ship_for_ever, args=arguments)
    child.start()
    for number in range(6):
        journal.append(*(denied(len(journal.lines)) for _ in range(chosen.randrange(LINES))))
        time.sleep(chosen.random() * 0.2)
        with suppress(Exception):  # the server may still recover from the last one
            own_postgres.kill_connection(number)
    deadline = time.monotonic() + 20
    shipper = Shipper(database, journal.folder, NODE)
    while time.monotonic() < deadline:
        with suppress(DatabaseUnavailableError):
            if shipper.lag().lines == 0:
                break
        time.sleep(0.05)
    child.kill()
    child.join()
    check(database, journal)
    database.dispose()
