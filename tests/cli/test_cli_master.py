"""A worker that hangs is killed; one that stood still together with the master is not."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.app.base import BaseApplication

from scopebound_engine.cli import serve
from scopebound_engine.cli.master import Master
from scopebound_engine.cli.worker import Worker
from scopebound_engine.config import Config

TIMEOUT = 0.6
ROUND = TIMEOUT / 6


class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def load_config(self) -> None:
        self.cfg.set("worker_tmp_dir", None)


@dataclass
class Listened:
    """A master, and a process it takes for its worker. Its heart beats when it is told to."""

    master: Master
    process: subprocess.Popen[bytes]
    beaten: float

    def rounds(self, seconds: float, *, beats: bool) -> bool:
        """Let the master look, as its loop does, for so long. Whether the process lives then."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            if beats:
                self.beaten = time.monotonic()
            self.master.murder_workers()
            time.sleep(ROUND)
        return self.process.poll() is None


@pytest.fixture
def listened() -> Iterator[Listened]:
    master = Master(Application())
    master.timeout = TIMEOUT
    with subprocess.Popen(["sleep", "60"]) as process:
        made = Listened(master, process, time.monotonic())
        heart = SimpleNamespace(last_update=lambda: made.beaten)
        master.WORKERS = {process.pid: SimpleNamespace(tmp=heart, aborted=False)}
        yield made
        process.kill()


def test_a_worker_whose_heart_beats_lives(listened: Listened) -> None:
    assert listened.rounds(3 * TIMEOUT, beats=True)


def test_a_worker_that_hangs_is_killed_in_time(listened: Listened) -> None:
    assert listened.rounds(TIMEOUT, beats=True)
    assert listened.rounds(TIMEOUT / 2, beats=False)
    assert not listened.rounds(3 * TIMEOUT, beats=False)


def test_a_worker_that_stood_still_together_with_the_master_lives(listened: Listened) -> None:
    assert listened.rounds(2 * TIMEOUT, beats=True)
    time.sleep(2 * TIMEOUT)
    assert listened.rounds(TIMEOUT / 2, beats=False)
    assert listened.rounds(2 * TIMEOUT, beats=True)


def test_one_that_hangs_from_then_on_is_killed(listened: Listened) -> None:
    assert listened.rounds(TIMEOUT, beats=True)
    time.sleep(2 * TIMEOUT)
    assert not listened.rounds(4 * TIMEOUT, beats=False)


def settings(tmp_path: Path) -> dict[str, Any]:
    return serve._settings(Config.model_validate({"data_dir": tmp_path}), Worker)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="Linux keeps this folder in memory")
def test_heartbeats_wait_for_no_disk(tmp_path: Path) -> None:
    assert settings(tmp_path)["worker_tmp_dir"] == "/dev/shm"


def test_where_no_folder_is_in_memory_they_are_temporary_files(tmp_path: Path) -> None:
    assert serve._heartbeat_folder(tmp_path) == str(tmp_path)
    assert serve._heartbeat_folder(tmp_path / "missing") is None
