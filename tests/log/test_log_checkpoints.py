"""Checkpoints: signed as the journal grows, kept whole in their file, sent off the host."""

import http.server
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scopebound_engine.errors import ConfigError, InputError, JournalError
from scopebound_engine.log import checkpoints, notes, pushing, segments
from scopebound_engine.log.chain import GENESIS
from scopebound_engine.log.checkpointing import Checkpointer, last_line
from scopebound_engine.log.checkpoints import Checkpoint
from scopebound_engine.log.journal import Head, Journal
from scopebound_engine.log.notes import SignerKey
from scopebound_engine.log.pushing import Pusher
from scopebound_engine.log.seals import SealFile
from scopebound_engine.log.status import PUSH, Status, problems
from tests.clocks import Clock
from tests.log.tampering import KEY, NODE, OTHER_NODE, chained, record, sealed, signer

LINES = chained([record(random.Random(n)) for n in range(30)])
HASH = "ab" * 32


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path, NODE, segment_bytes=1 << 16)
    yield opened
    opened.close()


def write(journal: Journal, many: int) -> None:
    for number in range(many):
        journal.append(b'{"event":"test","number":%d,"padding":"%s"}' % (number, b"x" * 200))


def sizes(folder: Path) -> list[int]:
    lines = (folder / checkpoints.FILE).read_bytes().splitlines(keepends=True)
    notes = [note for _, note in checkpoints.split(lines)]
    return [checkpoints.opened(note, [KEY.verifier]).size for note in notes]


def test_a_checkpoint_is_three_lines_signed_under_its_origin() -> None:
    lines = checkpoints.signed(Checkpoint(NODE, 42, HASH), KEY).decode().split("\n")
    origin = f"scopebound-engine/{NODE}"
    assert lines[:4] == [origin, "42", "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=", ""]
    assert lines[4].startswith(f"— {origin} ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"elsewhere/{NODE}\n1\n{'A' * 43}=\n",
        f"scopebound-engine/{NODE}\n01\n{'A' * 43}=\n",
        f"scopebound-engine/{NODE}\n-1\n{'A' * 43}=\n",
        f"scopebound-engine/{NODE}\n²\n{'A' * 43}=\n",
        f"scopebound-engine/{NODE}\n1\n{'A' * 42}==\n",
        f"scopebound-engine/{NODE}\n1\n{'A' * 43}=\nmore\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Checkpoint.parse(text)


def test_a_node_signs_for_itself_alone() -> None:
    other = signer(OTHER_NODE)
    note = checkpoints.signed(Checkpoint(NODE, 1, HASH), other)
    with pytest.raises(InputError, match="is signed by"):
        checkpoints.opened(note, [KEY.verifier, other.verifier])


def test_half_a_checkpoint_is_cut_off_before_the_next_one(tmp_path: Path) -> None:
    file, notes = tmp_path / "checkpoints", [sealed(LINES, size) for size in range(1, 5)]
    whole = notes[0] + b"\n"
    for length in range(len(notes[1])):
        file.write_bytes(whole + notes[1][:length])
        assert checkpoints.newest(file) == notes[0]
        checkpoints.append(file, notes[2:])
        assert file.read_bytes() == whole + notes[2] + b"\n" + notes[3] + b"\n"
        assert checkpoints.newest(file) == notes[3]


def test_what_is_not_half_a_checkpoint_stays(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints"
    file.write_bytes(b"a remark\n")
    checkpoints.append(file, [sealed(LINES, 1)])
    assert file.read_bytes().startswith(b"a remark\n\n")
    assert checkpoints.newest(file) == sealed(LINES, 1)


def test_a_witness_may_have_signed_too(tmp_path: Path) -> None:
    witness = SignerKey("witness.example", signer().private)
    note = sealed(LINES, 1)
    signature = notes.sign(Checkpoint(NODE, 1, HASH).text(), witness).rpartition(b"\n\n")[2]
    both = [note + signature, sealed(LINES, 2)]
    data = b"".join(one + b"\n" for one in both)
    assert [one for _, one in checkpoints.split(data.splitlines(keepends=True))] == both
    assert checkpoints.opened(both[0], [KEY.verifier]).size == 1


def test_checkpoints_behind_a_size_are_found_without_reading_all(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints"
    note = [checkpoints.signed(Checkpoint(NODE, size, HASH), KEY) for size in range(0, 2_000, 2)]
    file.write_bytes(b"".join(one + b"\n" for one in note))
    with file.open("rb") as opened:
        for size in (0, 1, 777, 1_998, 5_000):
            start = checkpoints.place_behind(opened, size)
            opened.seek(start)
            found = [one for _, one in checkpoints.split(opened)]
            assert found == note[-len(found) :]
            assert found[0] == note[0] or checkpoints.opened(found[0], [KEY.verifier]).size <= size
            assert len(found) < 600 or size < 1_000


def test_those_of_removed_records_are_forgotten_once_they_are_many(tmp_path: Path) -> None:
    file = tmp_path / checkpoints.FILE
    all_sizes = range(0, 60_000, 10)
    note = [checkpoints.signed(Checkpoint(NODE, size, HASH), KEY) for size in all_sizes]
    file.write_bytes(b"".join(one + b"\n" for one in note))
    file.chmod(0o600)
    before = SealFile(file, [KEY.verifier])
    for first in (1, 10_000):
        checkpoints.prune(file, first)
        assert len(list(SealFile(file, [KEY.verifier]).of(NODE))) == len(note)
    checkpoints.prune(file, 50_001)
    kept = [seal.size for seal in SealFile(file, [KEY.verifier]).of(NODE)]
    assert kept == list(all_sizes)[-len(kept) :]
    assert kept[0] <= 50_000 < kept[0] + 5_000
    assert (file.stat().st_mode & 0o777, list(before.of(NODE))) == (0o600, [])
    checkpoints.append(file, [sealed(LINES, 1)])
    assert checkpoints.newest(file) == sealed(LINES, 1)


def test_the_newest_are_kept_whatever_is_removed(tmp_path: Path) -> None:
    file = tmp_path / checkpoints.FILE
    note = [checkpoints.signed(Checkpoint(NODE, size, HASH), KEY) for size in range(6_000)]
    file.write_bytes(b"".join(one + b"\n" for one in note))
    segments.path(tmp_path, 90_000).write_bytes(b"")
    Checkpointer(tmp_path, KEY, lambda: Head(0, HASH)).prune()
    assert checkpoints.newest(file) == note[-1]
    assert file.stat().st_size < 1 << 17


def test_where_there_is_nothing_to_prune_nothing_happens(tmp_path: Path) -> None:
    signing = Checkpointer(tmp_path, KEY, lambda: Head(0, HASH))
    signing.prune()
    segments.path(tmp_path, 1).write_bytes(b"")
    signing.prune()
    assert not (tmp_path / checkpoints.FILE).exists()


def test_one_is_signed_at_a_thousand_records_or_after_ten_seconds(
    tmp_path: Path, journal: Journal, clock: Clock
) -> None:
    signing = Checkpointer(tmp_path, KEY, journal.head, clock)
    signing.run()
    assert not (tmp_path / checkpoints.FILE).exists()
    write(journal, 1)
    signing.run()
    assert sizes(tmp_path) == [1]
    write(journal, 998)
    clock.now += 9
    signing.run()
    assert sizes(tmp_path) == [1]
    write(journal, 2)
    signing.run()
    assert sizes(tmp_path) == [1, 1_001]
    write(journal, 1)
    clock.now += 10
    signing.run()
    clock.now += 60
    signing.run()
    assert sizes(tmp_path) == [1, 1_001, 1_002]
    assert problems(tmp_path) == []


def test_the_last_line_is_read_beside_those_who_write(tmp_path: Path, journal: Journal) -> None:
    assert last_line(tmp_path) == Head(0, GENESIS)
    for _ in range(8):
        write(journal, 50)
        assert last_line(tmp_path) == journal.head()
    newest = segments.path(tmp_path, segments.listing(tmp_path)[-1])
    with newest.open("ab") as file:
        file.write(b'{"chain":{"node":"half a li')
    assert last_line(tmp_path).seq == 400


def test_it_goes_on_after_a_restart(tmp_path: Path, journal: Journal, clock: Clock) -> None:
    write(journal, 5)
    Checkpointer(tmp_path, KEY, journal.head, clock).run()
    again = Checkpointer(tmp_path, KEY, journal.head, clock)
    write(journal, 5)
    again.run()
    assert sizes(tmp_path) == [5]
    clock.now += 10
    again.run()
    assert sizes(tmp_path) == [5, 10]


def test_a_journal_that_was_cut_is_not_signed_again(
    tmp_path: Path, journal: Journal, clock: Clock
) -> None:
    write(journal, 5)
    Checkpointer(tmp_path, KEY, journal.head, clock).run()
    journal.close()
    [first] = segments.listing(tmp_path)
    file = segments.path(tmp_path, first)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:3]))
    clock.now += 60
    with pytest.raises(JournalError, match="ends with record 3"):
        Checkpointer(tmp_path, KEY, journal.head, clock).run()
    assert sizes(tmp_path) == [5]
    [problem] = problems(tmp_path)
    assert "ends with record 3" in problem


def test_a_journal_whose_last_record_is_another_one_is_not_signed_again(
    tmp_path: Path, journal: Journal, clock: Clock
) -> None:
    write(journal, 5)
    Checkpointer(tmp_path, KEY, journal.head, clock).run()
    file = segments.path(tmp_path, 1)
    file.write_bytes(file.read_bytes().replace(b'"number":4', b'"number":9'))
    with pytest.raises(JournalError, match="is not the one whose 5 records were signed"):
        Checkpointer(tmp_path, KEY, lambda: last_line(tmp_path), clock).run()


def test_a_disk_that_takes_no_checkpoint_is_told_of(
    tmp_path: Path, journal: Journal, clock: Clock
) -> None:
    write(journal, 5)
    (tmp_path / checkpoints.FILE).mkdir()
    with pytest.raises(JournalError, match="checkpoint"):
        Checkpointer(tmp_path, KEY, journal.head, clock).run()
    assert any("checkpoint" in problem for problem in problems(tmp_path))


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes checkpoints, once it wants to."""

    status, delay = 200, 0.0
    taken: list[bytes]

    def do_POST(self) -> None:
        time.sleep(self.delay)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        if self.status == 200:
            self.taken.append(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, type[Receiver]]]:
    kind = type("Kind", (Receiver,), {"taken": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/notes?from=test", kind
    server.shutdown()
    server.server_close()


def test_the_newest_checkpoint_is_sent_once(
    tmp_path: Path, receiver: tuple[str, type[Receiver]]
) -> None:
    url, kind = receiver
    pusher = Pusher(tmp_path, url)
    pusher.run()
    checkpoints.append(tmp_path / checkpoints.FILE, [sealed(LINES, 1), sealed(LINES, 2)])
    pusher.run()
    pusher.run()
    assert kind.taken == [sealed(LINES, 2)]
    checkpoints.append(tmp_path / checkpoints.FILE, [sealed(LINES, 3)])
    pusher.run()
    assert kind.taken == [sealed(LINES, 2), sealed(LINES, 3)]


@pytest.mark.parametrize("status", [500, 302, 404])
def test_what_is_not_taken_is_told_and_tried_again_ever_more_seldom(
    tmp_path: Path, receiver: tuple[str, type[Receiver]], clock: Clock, status: int
) -> None:
    url, kind = receiver
    kind.status = status
    checkpoints.append(tmp_path / checkpoints.FILE, [sealed(LINES, 1)])
    pusher = Pusher(tmp_path, url, clock)
    pusher.run()
    assert Status(tmp_path, PUSH).read()["problem"].endswith(f"it answered {status}")
    kind.status = 200
    clock.now += 1
    pusher.run()
    assert kind.taken == []
    clock.now += 1
    pusher.run()
    assert kind.taken == [sealed(LINES, 1)]
    assert problems(tmp_path) == []


def test_an_attempt_takes_a_bounded_time(
    tmp_path: Path, receiver: tuple[str, type[Receiver]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = receiver
    kind.delay = 0.6
    monkeypatch.setattr(pushing, "ATTEMPT_SECONDS", 0.1)
    checkpoints.append(tmp_path / checkpoints.FILE, [sealed(LINES, 1)])
    began = time.monotonic()
    Pusher(tmp_path, url).run()
    assert time.monotonic() - began < 0.5
    assert "no answer within" in Status(tmp_path, PUSH).read()["problem"]


def test_nobody_there_is_told(tmp_path: Path) -> None:
    checkpoints.append(tmp_path / checkpoints.FILE, [sealed(LINES, 1)])
    Pusher(tmp_path, "http://127.0.0.1:9/").run()
    assert "127.0.0.1" in Status(tmp_path, PUSH).read()["problem"]


@pytest.mark.parametrize("url", ["ftp://example.com/", "example.com", "https:///path", "file:///x"])
def test_other_urls_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="SCOPEBOUND_CHECKPOINT_URL"):
        Pusher(tmp_path, url)
