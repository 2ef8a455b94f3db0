"""A journal that is tampered with beside its server, which goes on to write and to sign it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scopebound_engine.log import segments
from scopebound_engine.log.checkpointing import SECONDS
from scopebound_engine.log.status import VERIFICATION, Status
from tests.load import Load
from tests.processes import descendants
from tests.recording import lines_of
from tests.servers import RunningServer, serving
from tests.watching import health, metrics, names, until

# What is due each second or five takes longer where tests share the processors.
SLACK = 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One that gets ten calls a second, and has signed a checkpoint."""
    folder: Path = tmp_path_factory.mktemp("verification")
    with serving(folder / "data", workers=1) as running, Load([running], rate=10, sessions=1):
        until(lambda: verified_at(running) and metrics(running)["checkpoint_age_seconds"] >= 0)
        yield running


@contextmanager
def without_a_clerk(server: RunningServer) -> Iterator[None]:
    """The clerk stands still; in the end another one takes its place."""
    found = descendants(server.process.pid).items()
    [clerk] = [pid for pid, line in found if "scopebound_engine.clerk" in line]
    os.kill(clerk, signal.SIGSTOP)
    yield
    os.kill(clerk, signal.SIGKILL)


def change(server: RunningServer, number: int, old: bytes, new: bytes) -> None:
    """Put something of the same length in the place of a part of a record."""
    lines = lines_of(server.data_dir)[:number]
    start = sum(len(line) + 1 for line in lines[:-1])
    with segments.path(server.data_dir / "log", 1).open("r+b") as file:
        file.seek(start + lines[-1].index(old))
        file.write(new)


def an_hour_passes(server: RunningServer) -> None:
    """The next clerk finds that it is time to verify the whole journal again."""
    status = Status(server.data_dir / "log", VERIFICATION)
    status.write(status.read() | {"round_at": 0})


def verified_at(server: RunningServer) -> str:
    return health(server)["last_chain_verified_at"] or ""


@pytest.mark.parametrize("is_old", [False, True])
def test_a_bad_record_is_named_in_health_until_it_is_put_right(
    server: RunningServer, is_old: bool
) -> None:
    with without_a_clerk(server):
        number = 3 if is_old else len(lines_of(server.data_dir))
        change(server, number, b'"event":', b'"eVent":')
        an_hour_passes(server)
    problem = rf"the decision log is not sound: .*\brecord {number}\b"
    until(lambda: names(server, problem))
    stood = verified_at(server)
    assert metrics(server)["checkpoint_age_seconds"] < SECONDS + SLACK
    change(server, number, b'"eVent":', b'"event":')
    until(lambda: not health(server)["problems"])
    assert verified_at(server) > stood
    assert metrics(server)["chain_verified_age_seconds"] < SLACK
