"""The clerk as a process: started, started again, one at a time, and ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from scopebound_engine.clerk import status
from scopebound_engine.clerk.keeper import Keeper
from scopebound_engine.config import Config
from scopebound_engine.database.engine import open_database, reading
from scopebound_engine.database.log_tables import decisions
from scopebound_engine.node import log_dir
from scopebound_engine.wiring import open_recorder
from tests.processes import children, command, parents, wait_until_gone
from tests.servers import API_KEY, make_prepared

# Starting one takes under a second of a processor; the machine may be busy.
PATIENCE = 30.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    make_prepared(tmp_path / "data")
    return Config.model_validate({"data_dir": tmp_path / "data", "bootstrap_api_key": API_KEY})


@contextmanager
def kept(config: Config) -> Iterator[Keeper]:
    keeper = Keeper(config)
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.close()


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def clerks() -> set[int]:
    """The clerks that this process started."""
    return {pid for pid in children(os.getpid()) if "scopebound_engine.clerk" in command(pid)}


def working(config: Config) -> int:
    """The process that wrote the status within the last three seconds, 0 where none did."""
    found = status.read(log_dir(config))
    return found.pid if found and time.time() - found.at < 3 and found.pid in parents() else 0


def append(config: Config) -> None:
    recorder = open_recorder(config, time.time, lambda: None)
    recorder.event("log.started")
    recorder.close()


def shipped(config: Config) -> int:
    engine = open_database(None, config.data_dir)
    with reading(engine) as connection:
        count: int = connection.execute(select(func.count()).select_from(decisions)).scalar_one()
    engine.dispose()
    return count


def test_it_ships_and_ends_with_its_keeper(config: Config) -> None:
    with kept(config) as keeper:
        append(config)
        assert eventually(lambda: shipped(config) == 1)
        [pid] = clerks()
        assert working(config) == pid
        seen = keeper.watch.look()
        assert seen.is_up
        assert keeper.problems() == []
        assert eventually(lambda: keeper.watch.look().lag == status.Lag(0, 0.0))
    assert wait_until_gone({pid}, 3) == set()


def test_one_that_is_killed_is_replaced_and_shipping_goes_on(config: Config) -> None:
    with kept(config):
        assert eventually(lambda: working(config) != 0)
        [former] = clerks()
        os.kill(former, signal.SIGKILL)
        append(config)
        assert eventually(lambda: shipped(config) == 1)
        [pid] = clerks()
        assert pid != former


def test_of_two_keepers_one_starts_a_clerk_and_the_other_goes_on_when_it_ends(
    config: Config,
) -> None:
    with kept(config) as first:
        assert eventually(lambda: working(config) != 0)
        with kept(config):
            former = working(config)
            time.sleep(1.5)
            assert clerks() == {former}
            first.close()
            assert eventually(lambda: working(config) not in (0, former))
            assert len(clerks()) == 1


@contextmanager
def started(config: Config) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "scopebound_engine.clerk"],
        stdin=subprocess.PIPE,
        env=dict(os.environ) | config.environment(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_one_waits_until_the_first_is_gone(config: Config) -> None:
    with started(config) as first:
        assert eventually(lambda: working(config) == first.pid)
        with started(config) as second:
            time.sleep(2.5)
            assert working(config) == first.pid
            first.kill()
            assert eventually(lambda: working(config) == second.pid)


def by_signal(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()


def by_end_of_input(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None


@pytest.mark.parametrize("end", [by_signal, by_end_of_input])
def test_it_ends_soon_when_it_is_to(
    config: Config, end: Callable[["subprocess.Popen[bytes]"], None]
) -> None:
    with started(config) as process:
        assert eventually(lambda: working(config) == process.pid)
        end(process)
        assert process.wait(4) == 0


def test_no_secret_is_on_its_command_line_and_no_api_key_in_its_variables(config: Config) -> None:
    with kept(config):
        assert eventually(lambda: len(clerks()) == 1)
        [pid] = clerks()
        assert eventually(lambda: working(config) == pid)
        variables = Path(f"/proc/{pid}/environ").read_bytes()
        assert API_KEY.encode() not in variables
        assert f"SCOPEBOUND_DATA_DIR={config.data_dir}".encode() in variables
        assert API_KEY not in command(pid)
