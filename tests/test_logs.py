"""A log that cannot be written loses lines, never an answer."""

import errno
import io
import os
import subprocess
import sys
import threading
import time

from scopebound_engine.logs import PatientStream


class Failing(io.StringIO):
    """A stream on a disk that is full until it is mended."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left")
        return super().write(text)


class Stalled(io.StringIO):
    """A pipe whose reader does not read."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = threading.Event()

    def write(self, text: str) -> int:
        self.reading.wait()
        return super().write(text)


def eventually(stream: io.StringIO, text: str) -> None:
    deadline = time.monotonic() + 5
    while text not in stream.getvalue():
        assert time.monotonic() < deadline, stream.getvalue()
        time.sleep(0.01)


def test_lines_are_written() -> None:
    stream = io.StringIO()
    PatientStream(stream).write("a line\n")
    eventually(stream, "a line\n")


def test_a_full_disk_raises_nothing_and_the_loss_is_told_when_it_is_mended() -> None:
    stream = Failing()
    patient = PatientStream(stream)
    for _ in range(3):
        patient.write("lost\n")
    time.sleep(0.2)
    stream.full = False
    patient.write("kept\n")
    eventually(stream, '"lines": 3')
    eventually(stream, "kept\n")


def test_a_stalled_reader_blocks_nobody() -> None:
    stream = Stalled()
    patient = PatientStream(stream)
    started = time.monotonic()
    for _ in range(5_000):
        patient.write("x\n")
    assert time.monotonic() - started < 2
    stream.reading.set()
    patient.write("after\n")
    eventually(stream, "lines lost")


def test_at_the_end_of_a_process_nothing_is_left_behind() -> None:
    stream = io.StringIO()
    patient = PatientStream(stream)
    for number in range(500):
        patient.write(f"{number}\n")
    patient.drain()
    assert stream.getvalue().endswith("499\n")


def test_a_forked_process_writes_as_well() -> None:
    reading, writing = os.pipe()
    patient = PatientStream(os.fdopen(writing, "w"))
    patient.write("parent\n")
    pid = os.fork()
    if pid == 0:
        patient.write("child\n")
        time.sleep(0.5)
        os._exit(0)
    os.waitpid(pid, 0)
    seen = os.read(reading, 1000)
    assert b"child\n" in seen
    assert b"parent\n" in seen


def test_a_hushed_command_has_its_output_for_itself() -> None:
    code = (
        "import structlog; from scopebound_engine import logs; logs.hush(); "
        "log = structlog.get_logger(); log.warning('a warning'); log.error('an error')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "an error" in done.stderr
    assert "a warning" not in done.stderr
