import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
import time

import pytest

from tests.chains import events, whole_chain
from tests.faults import Faults

SYNCS = pytest.mark.parametrize("sync", ["timer", "each"])


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    return Faults(tmp_path_factory.mktemp("faults"))


@pytest.fixture(autouse=True)
def _sound_again(faults):
    yield
    faults.end()


class Appender:
    """Another process with a journal, told what to append."""

    def __init__(self, folder, faults, **settings):
        self.folder = folder
        command = [sys.executable, "-m", "tests.journal_process", folder]
        self.process = subprocess.Popen(
            [*command, json.dumps({"sync_seconds": 0.05, **settings})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | faults.environment,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)

    def append(self, what):
        """The record's number, or the error."""
        self.send(what)
        found, outcome = self.receive()
        assert found == what
        return outcome

    def send(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def receive(self):
        """What was appended, and its number or the error."""
        return json.loads(self.process.stdout.readline())

    def until(self, wanted, what="tried"):
        """Append until the outcome is a number, or an error with these words; the outcome."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = self.append(what)
            if isinstance(found, int) if wanted is int else wanted in str(found):
                return found
            time.sleep(0.02)
        raise AssertionError(f"{found!r} is not {wanted}")


def whats(folder):
    return [record["what"] for record in whole_chain(folder) if "what" in record]


@SYNCS
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device; make room on its disk"),
        (errno.EDQUOT, "make room on its disk"),
        (errno.EIO, "Input/output error; check its disk"),
        (errno.EROFS, "Read-only file system; make it writable"),
    ],
    ids=["ENOSPC", "EDQUOT", "EIO", "EROFS"],
)
def test_what_cannot_be_written_is_refused_and_counted_and_it_recovers_by_itself(
    tmp_path, faults, sync, number, words
):
    with Appender(tmp_path, faults, sync=sync) as appender:
        assert appender.append("before") == 1
        faults.begin(pwrite=number)
        for _ in range(3):
            error = appender.append("meanwhile")
            assert f"the decision log in {tmp_path} cannot be written: " in error
            assert words in error
        assert whats(tmp_path) == ["before"]
        faults.end()
        appender.until(int, "after")
    (resumed,) = events(tmp_path, "log.resumed")
    assert (resumed["unrecorded"], resumed["overruled"]) == (3, [])
    assert os.strerror(number) in resumed["reason"]
    assert whats(tmp_path) == ["before", "after"]


def test_it_recovers_without_anything_to_append(tmp_path, faults):
    with Appender(tmp_path, faults) as appender:
        faults.begin(pwrite=errno.EIO)
        appender.until("Input/output error")
        faults.end()
        wait_for(lambda: events(tmp_path, "log.resumed"))


def test_on_a_disk_that_fills_up_whole_lines_stay_and_half_ones_go(tmp_path, faults):
    with Appender(tmp_path, faults) as appender:
        appender.append("one")
        (file,) = tmp_path.glob("journal-*")
        size = file.stat().st_size
        for room in (size, size + 1, 2 * size - 2):
            faults.begin(room=room)
            assert "make room" in appender.append("two")
            assert file.stat().st_size == size
        faults.begin(room=2 * size)
        assert "make room" in appender.append("two")  # the note of what is missing comes first
        faults.end()
        assert isinstance(appender.append("two"), int)
    assert whats(tmp_path) == ["one", "two"]
    assert not list(tmp_path.glob("torn-*"))
    (resumed,) = events(tmp_path, "log.resumed")
    assert resumed["unrecorded"] == 4


def test_a_real_limit_on_the_size_of_files(tmp_path, faults):
    with Appender(tmp_path, faults) as appender:
        appender.append("one")
        resource.prlimit(appender.process.pid, resource.RLIMIT_FSIZE, (4_000, -1))
        error = appender.until("raise the limit on the size of its files", "x" * 500)
        assert "File too large" in error
        written = whats(tmp_path)
        assert len(written) > 2
        resource.prlimit(appender.process.pid, resource.RLIMIT_FSIZE, (-1, -1))
        appender.until(int, "after")
    assert whats(tmp_path) == [*written, "after"]


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 KiB; giving it more room is `mount -o remount`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
    if mounted.returncode:
        pytest.skip(f"mounting takes a privilege: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True, timeout=10)


def mount(*arguments):
    command = ["mount", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)


def test_a_real_disk_that_is_full(small_disk, faults):
    with Appender(small_disk, faults, segment_bytes=10_000) as appender:
        error = appender.until("make room on its disk", "x" * 1_500)
        assert "No space left on device" in error
        written = whats(small_disk)
        assert len(written) > 20
        assert mount("-o", "remount,size=1m", small_disk).returncode == 0
        appender.until(int, "after")
    assert whats(small_disk) == [*written, "after"]
    assert not list(small_disk.glob("torn-*"))


def test_a_folder_that_cannot_be_written_refuses_the_first_record_and_the_next_segment(
    tmp_path, faults
):
    with Appender(tmp_path, faults, segment_bytes=300) as appender:
        faults.begin(open=errno.EACCES)
        assert "Permission denied; make it writable" in appender.append("first")
        faults.end()
        appender.until(int, "second")
        faults.begin(open=errno.EROFS)
        error = appender.until("make it writable", "third")
        assert "Read-only file system" in error
        faults.end()
        appender.until(int, "fourth")
    assert len(list(tmp_path.glob("journal-*"))) > 1
    assert {"second", "fourth"} <= set(whats(tmp_path))


def test_a_failed_sync_refuses_records_until_the_disk_took_those_before(tmp_path, faults):
    with Appender(tmp_path, faults) as appender:
        appender.append("before")
        faults.begin(fdatasync=errno.EIO)
        error = appender.until("Input/output error", "accepted or refused")
        assert "check its disk" in error
        written = whats(tmp_path)
        for _ in range(5):
            assert "Input/output error" in appender.append("refused")
        assert whats(tmp_path) == written
        faults.end()
        appender.until(int, "after")
    (resumed,) = events(tmp_path, "log.resumed")
    assert resumed["unrecorded"] >= 6
    assert whats(tmp_path) == [*written, "after"]


def test_with_a_sync_before_each_answer_a_failed_one_is_told_and_the_record_named(tmp_path, faults):
    with Appender(tmp_path, faults, sync="each") as appender:
        appender.append("before")
        faults.begin(fdatasync=errno.EIO)
        assert "Input/output error" in appender.append("written")
        assert "Input/output error" in appender.append("refused")
        faults.end()
        appender.until(int, "after")
    assert whats(tmp_path) == ["before", "written", "after"]
    (resumed,) = events(tmp_path, "log.resumed")
    assert resumed["overruled"] == [2]
    assert resumed["unrecorded"] >= 1


def test_it_recovers_soon_although_it_syncs_seldom(tmp_path, faults):
    with Appender(tmp_path, faults, sync="each", sync_seconds=10) as appender:
        appender.append("before")
        faults.begin(fdatasync=errno.EIO)
        appender.until("Input/output error")
        faults.end()
        begun = time.monotonic()
        appender.until(int, "after")
        assert time.monotonic() - begun < 3


def test_what_the_disk_lost_in_a_failed_sync_is_written_anew(tmp_path, faults):
    with Appender(tmp_path, faults) as appender:
        appender.append("before")
        faults.begin(fdatasync=errno.EIO)
        appender.until("Input/output error", "accepted or refused")
        (file,) = tmp_path.glob("journal-*")
        content = file.read_bytes()
        with file.open("r+b") as damaged:  # as after a page that could not be written
            damaged.write(b"\0" * len(content))
        faults.end()
        wait_for(lambda: file.read_bytes().startswith(content))
        appender.until(int, "after")
    assert whats(tmp_path)[-1] == "after"


def test_one_processes_fault_is_not_the_others(tmp_path, faults, tmp_path_factory):
    sound = Faults(tmp_path_factory.mktemp("sound"))
    with Appender(tmp_path, faults) as failing, Appender(tmp_path, sound) as other:
        failing.append("one")
        faults.begin(room=100)
        assert "make room" in failing.append("two")
        assert isinstance(other.append("three"), int)
        faults.end()
        failing.until(int, "four")
    assert whats(tmp_path) == ["one", "three", "four"]


def test_behind_a_write_that_hangs_others_end_in_time(tmp_path, faults):
    with Appender(tmp_path, faults) as appender:
        appender.append("before")
        faults.begin(slow=1_500)
        appender.send("hangs")
        time.sleep(0.2)
        for number in range(3):
            appender.send(number)
        refused = [appender.receive() for _ in range(3)]
        assert {what for what, _ in refused} == {0, 1, 2}
        assert all("other threads of this process" in error for _, error in refused)
        assert appender.receive() == ["hangs", 2]
        faults.end()
        appender.until(int, "after")
    assert whats(tmp_path) == ["before", "hangs", "after"]
    gaps = events(tmp_path, "log.resumed")
    assert sum(gap["unrecorded"] for gap in gaps) >= 3
    assert not any(gap["overruled"] for gap in gaps)


def test_a_record_that_was_given_up_while_it_was_written_is_named(tmp_path, faults):
    with Appender(tmp_path, faults) as appender:
        appender.append("before")
        with next(tmp_path.glob("journal-*")).open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            appender.send("one")
            time.sleep(0.1)
            appender.send("two")
            faults.begin(slow=1_500)
            time.sleep(0.2)
        what, error = appender.receive()
        assert (what, "the disk takes too long" in error) == ("two", True)
        assert appender.receive() == ["one", 2]
        faults.end()
        appender.until(int, "after")
    assert whats(tmp_path) == ["before", "one", "two", "after"]
    assert events(tmp_path, "log.resumed")[0]["overruled"] == [3]


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
