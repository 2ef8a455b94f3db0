import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from scopebound_engine.database.engine import migrate, open_database, reading
from scopebound_engine.database.postgres import CONNECT_SECONDS
from scopebound_engine.errors import DatabaseUnavailableError, StateUnavailableError
from scopebound_engine.session.state.postgres import PostgresState
from tests.postgres import PostgresServer
from tests.servers import free_port

# What a busy machine may add.
SLACK_SECONDS = 0.4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A migrated one, on TCP."""
    made = PostgresServer()
    engine = open_database(made.tcp_url(), tmp_path_factory.mktemp("migrated"))
    migrate(engine)
    engine.dispose()
    yield made
    made.close()


@pytest.fixture(scope="module")
def read_only() -> Iterator[PostgresServer]:
    """What a standby looks like to libpq."""
    made = PostgresServer("default_transaction_read_only=on")
    yield made
    made.close()


@pytest.fixture
def hung() -> Iterator[int]:
    """The port of a host that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def url(*ports: int, options: str = "") -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://postgres@{hosts}/postgres?{options}"


def port_reached(engine: Engine) -> int:
    with reading(engine) as connection:
        port: int = connection.execute(text("SELECT inet_server_port()")).scalar_one()
    engine.dispose()
    return port


def through_the_engine(named: str) -> None:
    port_reached(open_database(named, Path()))


def through_session_state(named: str) -> None:
    with closing(PostgresState(named)) as state:
        assert state.counts_of(["s"]) == {}


BOTH = pytest.mark.parametrize("use", [through_the_engine, through_session_state])


@BOTH
def test_a_host_that_hangs_is_passed_over_within_the_bound(
    use: Callable[[str], None], server: PostgresServer, hung: int
) -> None:
    began = time.monotonic()
    use(url(hung, server.port))
    assert CONNECT_SECONDS / 2 <= time.monotonic() - began < CONNECT_SECONDS + SLACK_SECONDS


@BOTH
def test_hosts_that_all_hang_are_named_when_the_time_is_over(
    use: Callable[[str], None], hung: int
) -> None:
    began = time.monotonic()
    with pytest.raises(
        (DatabaseUnavailableError, StateUnavailableError),
        match=rf"127\.0\.0\.1:{hung} within 0\.\d+ s; no connection to 127\.0\.0\.1:{hung} within",
    ):
        use(url(hung, hung))
    assert time.monotonic() - began < CONNECT_SECONDS + SLACK_SECONDS


def test_a_host_that_refuses_leaves_its_time_to_the_next(
    server: PostgresServer, hung: int, tmp_path: Path
) -> None:
    named = url(free_port(), free_port(), hung, server.port)
    assert port_reached(open_database(named, tmp_path)) == server.port


def test_each_host_is_asked_whether_it_can_be_written(
    server: PostgresServer, read_only: PostgresServer, tmp_path: Path
) -> None:
    ports = (read_only.port, server.port)
    assert port_reached(open_database(url(*ports), tmp_path)) == read_only.port
    writable = url(*ports, options="target_session_attrs=read-write")
    assert port_reached(open_database(writable, tmp_path)) == server.port


def test_hosts_of_which_none_can_be_written_are_unavailable(
    read_only: PostgresServer, tmp_path: Path
) -> None:
    named = url(free_port(), read_only.port, options="target_session_attrs=read-write")
    with pytest.raises(DatabaseUnavailableError, match=r"refused[\s\S]*session is read-only"):
        port_reached(open_database(named, tmp_path))
