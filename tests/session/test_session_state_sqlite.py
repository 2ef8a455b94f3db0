import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.errors import StateUnavailableError
from scopebound_engine.session.state.seam import Entry, Window
from scopebound_engine.session.state.sqlite import SqliteState
from scopebound_engine.session.state.sqlite_file import boot_id, microseconds_since_boot
from tests.roles import ROLE_ID, store_role
from tests.sessions import store_session

LATER = 4_000_000_000


@pytest.fixture(autouse=True)
def _database(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path)
    migrate(engine)
    store_role(engine)
    for session in ("s", "t"):
        store_session(engine, session)
    engine.dispose()


@dataclass
class Clock:
    """Both clocks of a host."""

    boot_us: int = 5_000_000
    epoch: float = 1_777_000_000.0
    states: list[SqliteState] = field(default_factory=list)

    def state(self, folder: Path, boot: str = "boot-1") -> SqliteState:
        made = SqliteState(
            folder, boot=boot, microseconds=lambda: self.boot_us, clock=lambda: self.epoch
        )
        self.states.append(made)
        return made


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    yield made
    for state in made.states:
        state.close()


def test_buckets_refill_to_the_microsecond(clock: Clock, tmp_path: Path) -> None:
    state = clock.state(tmp_path)
    state.open("s", 3, 0, LATER)
    for _ in range(3):
        assert state.enter(Entry("s", ROLE_ID, 3, 0)).granted
    clock.boot_us += 20_000_000 - 1
    assert state.enter(Entry("s", ROLE_ID, 3, 0)).minute.retry_after_seconds == 1
    clock.boot_us += 1
    assert state.enter(Entry("s", ROLE_ID, 3, 0)).granted
    assert state.enter(Entry("s", ROLE_ID, 3, 0)).minute.retry_after_seconds == 20


def test_the_time_of_day_does_not_count(clock: Clock, tmp_path: Path) -> None:
    state = clock.state(tmp_path)
    state.open("s", 1, 0, LATER)
    state.enter(Entry("s", ROLE_ID, 1, 0))
    clock.epoch += 86_400
    assert not state.enter(Entry("s", ROLE_ID, 1, 0)).granted


def test_a_restart_of_the_service_keeps_the_buckets(clock: Clock, tmp_path: Path) -> None:
    first = clock.state(tmp_path)
    first.open("s", 2, 0, LATER)
    first.enter(Entry("s", ROLE_ID, 2, 0))
    first.close()
    assert clock.state(tmp_path).enter(Entry("s", ROLE_ID, 2, 0)).minute.remaining == 0


def test_after_another_boot_all_is_empty_the_session_is_known_and_the_old_file_is_gone(
    clock: Clock, tmp_path: Path
) -> None:
    call = Entry("s", ROLE_ID, 5, 5, "erp", 5, slots=2, call_id="c")
    before = clock.state(tmp_path)
    before.open("s", 5, 5, LATER)
    assert before.enter(call).granted
    clock.boot_us = 1_000_000
    again = clock.state(tmp_path, boot="boot-2")
    found = again.enter(call)
    assert found.revoked_reason is None
    assert not found.granted
    assert (found.counts, found.replayed) == ((0, 0), 0)
    assert found.server == Window(5, False, 0, 12)
    clock.boot_us += 12_000_000
    found = again.enter(replace(call, call_id=None, server="crm"))
    assert (found.minute.granted, found.hour.granted) == (True, False)
    assert found.server == Window(5, True, 1, 0)
    assert again.enter(Entry("s", ROLE_ID, 5, 0)).minute.granted
    assert not list(tmp_path.glob("state-boot-1.db*"))


def test_a_session_opened_just_after_the_boot_has_full_buckets(
    clock: Clock, tmp_path: Path
) -> None:
    clock.boot_us = 0
    state = clock.state(tmp_path)
    state.open("s", 5, 5, LATER)
    found = state.enter(Entry("s", ROLE_ID, 5, 5, "erp", 5))
    assert (found.minute, found.hour, found.server) == (Window(5, True, 4, 0),) * 3


def test_the_file_is_private(clock: Clock, tmp_path: Path) -> None:
    clock.state(tmp_path).open("s", 1, 1, LATER)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("state*")}
    assert modes == {0o600}


def test_a_process_killed_in_mid_call_leaves_the_others_working(tmp_path: Path) -> None:
    state = SqliteState(tmp_path)
    state.open("s", 10**6, 0, LATER)
    loop = (
        "import sys; from pathlib import Path\n"
        "from scopebound_engine.session.state.seam import Entry\n"
        "from scopebound_engine.session.state.sqlite import SqliteState\n"
        "state = SqliteState(Path(sys.argv[1]))\n"
        "while True: state.enter(Entry('s', sys.argv[2], 10**6, 0)); print(flush=True)"
    )
    command = [sys.executable, "-c", loop, str(tmp_path), ROLE_ID]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(100):
            assert state.enter(Entry("s", ROLE_ID, 10**6, 0)).granted
        os.kill(process.pid, signal.SIGKILL)
    assert state.enter(Entry("s", ROLE_ID, 10**6, 0)).granted
    state.close()


def test_a_torn_file_is_an_error_and_a_new_one_begins_empty(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "state-boot-1.db"
    path.write_bytes(b"torn" * 4_096)
    state = clock.state(tmp_path)
    with pytest.raises(StateUnavailableError, match="not a database"):
        state.enter(Entry("s", ROLE_ID, 5, 5))
    path.unlink()
    assert not state.enter(Entry("s", ROLE_ID, 5, 5)).granted
    assert state.enter(Entry("t", ROLE_ID, 0, 0)).granted


def test_a_data_folder_that_cannot_be_used_is_an_error(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnavailableError, match="SCOPEBOUND_DATA_DIR"):
        clock.state(tmp_path / "file").enter(Entry("s", ROLE_ID, 5, 5))


def test_without_the_database_no_session_is_known_to_be_in_force(
    clock: Clock, tmp_path: Path
) -> None:
    stored = tmp_path / "scopebound.db"
    stored.rename(tmp_path / "elsewhere")
    state = clock.state(tmp_path)
    with pytest.raises(StateUnavailableError, match="unable to open database"):
        state.enter(Entry("s", ROLE_ID, 0, 0))
    assert not stored.exists()
    (tmp_path / "elsewhere").rename(stored)
    assert state.enter(Entry("s", ROLE_ID, 0, 0)).revoked_reason is None


def test_a_database_without_roles_is_an_error(clock: Clock, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "scopebound.db") as connection:
        connection.execute("DROP TABLE roles")
    connection.close()
    with pytest.raises(StateUnavailableError, match="no such table"):
        clock.state(tmp_path).enter(Entry("s", ROLE_ID, 5, 5))


def test_a_folder_may_have_any_name(clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "100% ?mode=rw#é"
    folder.mkdir()
    (tmp_path / "scopebound.db").rename(folder / "scopebound.db")
    state = clock.state(folder)
    state.open("s", 5, 5, LATER)
    assert state.enter(Entry("s", ROLE_ID, 5, 5)).minute.remaining == 4
    assert not list(tmp_path.glob("state*"))


def test_the_database_is_attached_to_be_read_only(clock: Clock, tmp_path: Path) -> None:
    state = clock.state(tmp_path)
    state.open("s", 5, 5, LATER)
    with (
        state._file.transaction() as execute,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        execute("DELETE FROM stored.roles")
    assert state.enter(Entry("s", ROLE_ID, 5, 5)).revoked_reason is None


def test_boots_are_told_apart_and_time_never_stands(tmp_path: Path) -> None:
    assert len(boot_id()) == 36
    assert boot_id() == boot_id()
    before = microseconds_since_boot()
    time.sleep(0.001)
    assert microseconds_since_boot() > before
