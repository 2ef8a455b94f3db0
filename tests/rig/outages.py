"""The faults of databases, and of the way to them; see `faults.py`."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from tests.postgres import PostgresServer
from tests.rig.faults import Inflicted, World, at_once, lasting
from tests.rig.history import EVERYWHERE, Fault
from tests.watching import until

CUT_SECONDS, SLOW_SECONDS = 0.1, 0.3


def locked_state(world: World) -> Fault:
    """Another process keeps SQLite's state file locked."""
    [file] = world.cluster.nodes[0].data_dir.glob("state-*.db")

    @contextmanager
    def locked() -> Iterator[None]:
        writer = sqlite3.connect(file, isolation_level=None, timeout=10)
        try:
            writer.execute("BEGIN EXCLUSIVE")
            yield
        finally:
            writer.close()

    return lasting("state file locked", 0, locked(), world.held, takes_away=True)


def killed_database(world: World) -> Fault:
    """PostgreSQL is killed, and started again after a while."""
    postgres = _postgres(world)

    @contextmanager
    def away() -> Iterator[None]:
        postgres.kill()
        yield
        postgres.start()

    return lasting("database killed", EVERYWHERE, away(), world.held, takes_away=True)


def frozen_database(world: World) -> Fault:
    frozen = _postgres(world).frozen()
    return lasting("database frozen", EVERYWHERE, frozen, world.held, takes_away=True)


def killed_connection(world: World) -> Fault:
    """One process of the server is killed: all others end, and it recovers."""
    postgres, victim = _postgres(world), world.rng.randrange(1000)
    name = "database backend killed"
    return at_once(name, EVERYWHERE, lambda: postgres.kill_connection(victim))


def slow_database(world: World) -> Fault:
    """Each answer of it comes late, so late that calls need not be decided in time."""
    proxy = world.cluster.proxy
    assert proxy is not None

    @contextmanager
    def slow() -> Iterator[None]:
        proxy.delay_seconds = SLOW_SECONDS
        try:
            yield
        finally:
            proxy.delay_seconds = 0.0

    return lasting("database slow", EVERYWHERE, slow(), world.held, takes_away=True)


def cut_database(world: World) -> Fault:
    """Connections are reset ten times a second."""
    proxy = world.cluster.proxy
    assert proxy is not None

    @contextmanager
    def cut() -> Iterator[None]:
        over = threading.Event()

        def again() -> None:
            while not over.wait(CUT_SECONDS):
                proxy.cut()

        cutting = threading.Thread(target=again)
        cutting.start()
        try:
            yield
        finally:
            over.set()
            cutting.join()

    return lasting("database cut off", EVERYWHERE, cut(), world.held, takes_away=True)


OF_SQLITE: tuple[Inflicted, ...] = (locked_state,)
OF_POSTGRES: tuple[Inflicted, ...] = (
    killed_database,
    frozen_database,
    killed_connection,
    slow_database,
    cut_database,
)


def _postgres(world: World) -> PostgresServer:
    """The server, once it takes connections: what struck it before may not be over."""
    postgres = world.cluster.postgres
    assert postgres is not None
    until(lambda: _answers(postgres))
    return postgres


def _answers(postgres: PostgresServer) -> bool:
    with suppress(psycopg.OperationalError):
        psycopg.connect(postgres.url()).close()
        return True
    return False
