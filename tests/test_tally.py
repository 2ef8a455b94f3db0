"""Counters that processes of a node add up."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scopebound_engine.tally import Tally

# Counts one a thousand times, then waits to be killed.
_COUNTER = """
import sys, time
from pathlib import Path
from scopebound_engine.tally import Tally
tally = Tally(Path(sys.argv[1]))
place = tally.place("one")
for _ in range(1000):
    tally.add([(place, 1)])
print("done", flush=True)
time.sleep(60)
"""


def place_of(tally: Tally, name: str) -> int:
    place = tally.place(name)
    assert place is not None
    return place


def test_numbers_of_a_name_are_counted_apart(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    one, other = place_of(tally, "one"), place_of(tally, "other")
    tally.add([(one, 2), (one + 15, 1 << 40), (other, 3)])
    tally.add([(one, 1)])
    assert tally.total() == {"one": [3, *[0] * 14, 1 << 40], "other": [3, *[0] * 15]}
    assert place_of(tally, "one") == one


def test_threads_lose_no_count(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    place = place_of(tally, "one")

    def count() -> None:
        for _ in range(2_000):
            tally.add([(place, 1)])

    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(former)
    assert tally.total()["one"][0] == 8_000


def test_processes_are_added_up_and_one_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    own = Tally(tmp_path)
    own.add([(place_of(own, "one"), 5)])
    for killed in (1, 2):
        process = subprocess.Popen(
            [sys.executable, "-c", _COUNTER, str(tmp_path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        assert own.total()["one"][0] == 5 + 1_000 * killed
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert own.total()["one"][0] == 5 + 1_000 * killed
    assert len(list(tmp_path.iterdir())) == 2


def test_names_are_bounded(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    assert tally.place("x" * 129) is None
    places = [tally.place(f"name {number}") for number in range(600)]
    assert None not in places[:511]
    assert set(places[511:]) == {None}
    assert tally.place("name 0") == places[0]
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {512 * 256}


@pytest.mark.parametrize("content", [b"", b"x" * 131_072, b"scopebound tally 1", b"\0" * 131_072])
def test_a_file_that_is_none_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0").write_bytes(content)
    (tmp_path / "7").write_bytes(content)
    tally = Tally(tmp_path)
    tally.add([(place_of(tally, "one"), 1)])
    assert tally.total()["one"][0] == 1


def test_without_a_folder_it_counts_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tally = Tally(tmp_path / "file")
    tally.add([(place_of(tally, "one"), 1)])
    assert tally.total()["one"][0] == 1


def test_where_a_file_cannot_be_read_there_is_no_total(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    (tmp_path / "1").mkdir()
    with pytest.raises(OSError, match="directory"):
        tally.total()


def test_its_blocks_are_there_before_they_are_used(tmp_path: Path) -> None:
    Tally(tmp_path)
    [path] = tmp_path.iterdir()
    assert path.stat().st_blocks * 512 >= path.stat().st_size
    assert time.time() - path.stat().st_mtime < 60
