import os
import random
import shutil
import threading
import time

import pytest

from scopebound_engine import strict_json
from scopebound_engine.errors import JournalError
from scopebound_engine.log import chain, segments
from scopebound_engine.log.journal import MAX_RECORD_BYTES, Head, Journal
from tests.chains import events, whole_chain


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "log"


@pytest.fixture
def journal(folder):
    with opened(folder) as journal:
        yield journal


class opened:
    """A journal for the length of a block."""

    def __init__(self, folder, **settings):
        self.journal = Journal(folder, "node-1", **settings)

    def __enter__(self):
        return self.journal

    def __exit__(self, *_):
        self.journal.close()


def record(number, size=0):
    return strict_json.dumps({"number": number, "padding": "x" * size})


def is_refused(journal, data):
    try:
        journal.append(data)
    except JournalError:
        return True
    return False


def numbers(folder):
    return [each["number"] for each in whole_chain(folder) if "number" in each]


def tear(folder, data):
    with segments.path(folder, segments.listing(folder)[-1]).open("ab") as file:
        file.write(data)


def test_what_is_appended_stands_there_when_append_returns(journal, folder):
    assert [journal.append(record(number)) for number in range(5)] == [1, 2, 3, 4, 5]
    assert numbers(folder) == [0, 1, 2, 3, 4]


def test_the_head_is_the_last_line(journal, folder):
    assert journal.head() == Head(0, chain.GENESIS)
    journal.append(record(1))
    (line,) = (line for line, _ in segments.lines(folder, segments.START))
    assert journal.head() == Head(1, chain.digest(line))


def test_files_and_folder_are_for_this_user_only(journal, folder):
    journal.append(record(1))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert segments.path(folder, 1).stat().st_mode & 0o777 == 0o600


def test_the_chain_goes_on_after_a_restart(folder):
    for number in range(5):
        with opened(folder) as journal:
            journal.append(record(number))
    assert numbers(folder) == list(range(5))


@pytest.mark.parametrize("size", [1, 2_000, 70_000, 700_000])
def test_two_journals_on_one_folder_write_one_chain(folder, size):
    with opened(folder, segment_bytes=1 << 20) as one, opened(folder, segment_bytes=1 << 20) as two:
        source = random.Random(6)
        for number in range(40):
            source.choice([one, two]).append(record(number, size))
    assert numbers(folder) == list(range(40))


def test_segments_rotate_by_size(folder):
    with opened(folder, segment_bytes=1 << 16) as journal:
        for number in range(100):
            journal.append(record(number, 5_000))
    assert numbers(folder) == list(range(100))
    sizes = [segments.path(folder, first).stat().st_size for first in segments.listing(folder)]
    assert len(sizes) == 8
    assert all(1 << 16 <= size < (1 << 16) + 5_200 for size in sizes[:-1])


def test_a_segment_with_nothing_in_it_yet_continues_the_one_before(folder):
    with opened(folder) as journal:
        journal.append(record(1))
    tear(folder, b"\n")
    segments.path(folder, 2).touch()
    with opened(folder) as journal:
        assert journal.append(record(2)) == 2
    assert numbers(folder) == [1, 2]


@pytest.mark.parametrize("begun", [b"", b'{"chain":'])
def test_who_is_segments_behind_goes_on_behind_the_last_line_of_all(folder, begun):
    with opened(folder, segment_bytes=1 << 16) as one, opened(folder) as two:
        two.append(record(0))
        for number in range(1, 40):
            one.append(record(number, 5_000))
        last = segments.path(folder, one.head().seq + 1)
        tear(folder, b"\n")
        last.write_bytes(begun)
        assert len(segments.listing(folder)) > 3
        two.append(record(40))
        one.append(record(41))
    assert numbers(folder) == list(range(42))


@pytest.mark.parametrize(
    "data", [b"x" * 300_000, b"\0" * 10, b"\0" * 70_000 + b"\n", b"{}\n{}\n", b"no line\n\n"]
)
def test_what_a_crash_left_behind_is_put_aside_visibly(folder, data):
    with opened(folder) as journal:
        journal.append(record(1))
    tear(folder, data)
    with opened(folder) as journal:
        assert journal.append(record(2)) == 3
    assert numbers(folder) == [1, 2]
    kept = folder / "torn-00000000000000000002"
    assert events(folder, "log.repaired") == [{"bytes": len(data), "kept_in": kept.name}]
    assert kept.read_bytes() == data


def test_a_line_torn_at_any_byte_is_repaired_by_whoever_writes_next(folder):
    with opened(folder) as journal, opened(folder) as other:
        for number in range(30):
            journal.append(record(number))
            line = chain.compose("node-1", journal.head().hash, journal.head().seq + 1, b"{}")
            tear(folder, line[: 1 + number * len(line) // 31])
            other.append(record(number))
    assert numbers(folder) == [number for number in range(30) for _ in range(2)]
    assert len(events(folder, "log.repaired")) == 30


def test_the_very_first_line_may_be_the_torn_one(folder):
    folder.mkdir(parents=True)
    segments.path(folder, 1).write_bytes(b'{"chain":')
    with opened(folder) as journal:
        journal.append(record(1))
    assert numbers(folder) == [1]
    assert len(events(folder, "log.repaired")) == 1


def test_lines_cut_off_while_it_is_open_stay_missing(folder):
    with opened(folder) as journal:
        for number in range(5):
            journal.append(record(number, 500))
        file = segments.path(folder, 1)
        lines = file.read_bytes().splitlines(keepends=True)
        os.truncate(file, len(b"".join(lines[:3])))
        assert journal.append(record(6)) == 7
    seqs = [chain.split(line).seq for line, _ in segments.lines(folder, segments.START)]
    assert seqs == [1, 2, 3, 6, 7]
    assert b'"missing":[4,5]' in file.read_bytes()


def test_a_segment_that_was_emptied_says_what_is_missing(folder):
    with opened(folder) as journal:
        for number in range(3):
            journal.append(record(number))
        os.truncate(segments.path(folder, 1), 0)
        assert journal.append(record(4)) == 5
    assert b'"missing":[1,3]' in segments.path(folder, 1).read_bytes()


def test_a_removed_segment_is_noticed_and_the_chain_goes_on_in_a_new_one(folder):
    with opened(folder, sync_seconds=0.05) as journal:
        journal.append(record(1))
        segments.path(folder, 1).unlink()
        journal.append(record(2))
        wait_for(lambda: segments.listing(folder))
        last = journal.append(record(3))
    [first] = segments.listing(folder)
    start = segments.Position(first, 0, first)
    links = [chain.split(line) for line, _ in segments.lines(folder, start)]
    assert [link.seq for link in links] == list(range(first, last + 1))
    assert b"taken out of its folder" in links[0].record


def test_a_removed_folder_is_made_again(folder):
    with opened(folder, sync_seconds=0.05) as journal:
        journal.append(record(1))
        shutil.rmtree(folder)
        journal.append(record(2))
        wait_for(lambda: segments.listing(folder) and not journal.problem())
        assert journal.append(record(3)) == 4


@pytest.mark.parametrize("data", [b"", b"notes\n", b"torn"])
def test_a_foreign_file_named_like_a_later_segment_splits_no_chain(folder, data):
    with opened(folder) as one:
        one.append(record(1))
        segments.path(folder, 900).write_bytes(data)
        with opened(folder) as two:
            for number in range(2, 6):
                (one, two)[number % 2].append(record(number))
    links = [chain.split(line) for line, _ in segments.lines(folder, segments.START)]
    assert [link.seq for link in links] == [1, 2, 3, 4, 5]
    assert segments.path(folder, 900).read_bytes() == data


def put_file(folder):
    folder.write_text("in its place")


def put_dangling_link(folder):
    folder.symlink_to(folder.parent / "gone")


@pytest.mark.parametrize("put", [put_file, put_dangling_link])
def test_where_a_removed_folder_cannot_be_made_again_records_are_refused_until_it_can(folder, put):
    with opened(folder, sync_seconds=0.05) as journal:
        journal.append(record(1))
        shutil.rmtree(folder)
        put(folder)
        wait_for(lambda: is_refused(journal, record(2)))
        assert is_refused(journal, record(2))
        assert journal.problem()
        folder.unlink()
        wait_for(lambda: not journal.problem())
        assert journal.append(record(3)) == journal.head().seq
    first = segments.listing(folder)[0]
    lines = [line for line, _ in segments.lines(folder, segments.Position(first, 0, first))]
    assert b"log.resumed" in lines[0]
    assert b'"number":3' in lines[-1]


def test_who_was_idle_does_not_write_into_a_file_that_was_taken_away(folder):
    with opened(folder, sync_seconds=60) as journal:
        journal.append(record(1))
        time.sleep(0.25)
        folder.rename(folder.with_name("away"))
        assert journal.append(record(2)) == 3
    assert b'"number":2' in segments.path(folder, 2).read_bytes()
    assert b'"number":2' not in segments.path(folder.with_name("away"), 1).read_bytes()


@pytest.mark.parametrize("sync", ["timer", "each"])
def test_threads_append_at_once(folder, sync):
    with opened(folder, sync=sync, segment_bytes=1 << 17) as journal:
        seqs = {}

        def run(thread):
            for number in range(100):
                seqs[thread, number] = journal.append(record([thread, number], 500))

        at_once(run, 8)
    assert sorted(seqs.values()) == list(range(1, 801))
    found = numbers(folder)
    assert all(found[seq - 1] == list(who) for who, seq in seqs.items())


def test_a_record_that_is_too_large_or_no_object_on_a_line_is_refused(journal):
    largest = b'{"a":"' + b"x" * (MAX_RECORD_BYTES - 8) + b'"}'
    assert journal.append(largest) == 1
    for unfit in (largest + b" ", b'{"a":\n1}', b"[]", b""):
        with pytest.raises(JournalError, match="is not written into the decision log"):
            journal.append(unfit)
    assert journal.append(b"{}") == 2


def test_while_another_holds_the_journal_an_append_fails_at_its_deadline(journal, folder):
    import fcntl

    journal.append(record(1))
    with segments.path(folder, 1).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        begun = time.monotonic()
        errors = []

        def run(thread):
            with pytest.raises(JournalError) as caught:
                journal.append(record(thread), begun + 0.3)
            errors.append(str(caught.value))

        at_once(run, 4)
        assert 0.3 <= time.monotonic() - begun < 0.8
    assert all("cannot be written" in error for error in errors)
    journal.append(record(2))
    assert numbers(folder) == [1, 2]
    (resumed,) = events(folder, "log.resumed")
    assert (resumed["unrecorded"], resumed["overruled"]) == (4, [])
    assert "locked" in resumed["reason"] or "other threads" in resumed["reason"]


def test_a_forked_child_opens_the_journal_anew(journal, folder):
    journal.append(record(1))
    child = os.fork()
    if not child:
        status = 1
        try:
            journal.append(record(2))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    journal.append(record(3))
    assert numbers(folder) == [1, 2, 3]


def test_a_closed_journal_opens_again(journal, folder):
    journal.append(record(1))
    journal.close()
    journal.append(record(2))
    assert numbers(folder) == [1, 2]


def at_once(run, threads):
    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def wait_for(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
