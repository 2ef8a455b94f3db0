"""What was done to a log is found, and its first bad record is named."""

import os
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from scopebound_engine.errors import InputError
from scopebound_engine.log import segments
from scopebound_engine.log.chain import GENESIS, compose, digest
from scopebound_engine.log.flaws import Flaw
from scopebound_engine.log.journal import Journal
from scopebound_engine.log.sources import lines, sources
from scopebound_engine.log.verify import Checked, Report, verify
from tests.log.tampering import (
    KEY,
    NODE,
    OTHER_NODE,
    TAMPERINGS,
    Expected,
    Sample,
    chained,
    record,
    sample,
    sealed,
    signer,
)

CASES = int(os.environ.get("SCOPEBOUND_TEST_TAMPERINGS", "110"))


def verified(folder: Path, *more: Path) -> Report:
    return verify(sources([folder]), [KEY.verifier], more)


def assert_found(found: Flaw, expected: Expected, journal: Sample, folder: Path) -> None:
    assert found.kind in expected.kinds
    if found.kind == "checkpoint":
        notes = journal.notes[: expected.index]
        assert found.place.line == 1 + sum(note.count(b"\n") + 1 for note in notes)
        return
    assert expected.first <= found.seq <= found.until
    if found.kind not in {"missing", "truncated"}:
        assert found.until <= expected.last
    if expected.index is not None:
        place = journal.where(folder, expected.index)
        assert (found.place.file, found.place.line) == place


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_every_tampering_is_found_and_its_first_bad_record_named(
    tmp_path: Path, tamper: Callable[[random.Random, Sample], Expected]
) -> None:
    cases = -(-CASES // len(TAMPERINGS))
    for case in range(cases):
        dice = random.Random(f"{tamper.__name__} {case}")
        journal, folder = sample(dice), tmp_path / str(case)
        folder.mkdir()
        journal.write(folder)
        assert verified(folder).flaws == []
        expected = tamper(dice, journal)
        journal.write(folder)
        flaws = verified(folder).flaws
        assert flaws, f"case {case}: nothing found; {expected}"
        try:
            assert_found(flaws[0], expected, journal, folder)
        except AssertionError as error:
            raise AssertionError(f"case {case}: {expected}, found {flaws}") from error


@pytest.fixture
def journal(tmp_path: Path) -> Sample:
    """30 records, of which 10, 20 and 30 are signed, in a folder."""
    made = sample(random.Random(7), 30)
    made.places = [1] * 14 + [15] * 16
    made.sizes = [10, 20, 30]
    made.notes = [sealed(made.lines, size) for size in made.sizes]
    made.write(tmp_path)
    return made


def export(folder: Path, *lines: bytes) -> Path:
    file = folder / "export"
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    return file


def test_what_is_sound_is_counted(tmp_path: Path, journal: Sample) -> None:
    report = verified(tmp_path)
    assert report.checked == [Checked(NODE, 1, 30, 30, 3)]
    assert (report.flaws, report.notes) == ([], [])


def test_a_written_journal_is_sound_also_while_it_is_written(tmp_path: Path) -> None:
    writing = Journal(tmp_path, NODE, segment_bytes=1 << 16)
    for number in range(900):
        writing.append(b'{"number":%d,"padding":"%s"}' % (number, b"x" * 300))
    newest = segments.path(tmp_path, segments.listing(tmp_path)[-1])
    with newest.open("ab") as file:
        file.write(b'{"chain":{"node":"half a')
    report = verified(tmp_path)
    assert report.flaws == []
    assert (report.checked[0].first, report.checked[0].last) == (1, 900)
    assert "is not whole" in report.notes[0]
    writing.close()


def test_a_journal_that_was_repaired_after_a_kill_is_sound(tmp_path: Path) -> None:
    writing = Journal(tmp_path, NODE)
    writing.append(b'{"number":1}')
    with segments.path(tmp_path, 1).open("ab") as file:
        file.write(b'{"chain":{"node":"half a')
    writing.append(b'{"number":2}')
    writing.close()
    report = verified(tmp_path)
    assert report.flaws == []
    assert report.checked[0].last == 3


def test_lines_behind_the_end_of_a_segment_are_found(tmp_path: Path) -> None:
    lines = chained([record(random.Random(n)) for n in range(4)])
    first, second = segments.path(tmp_path, 1), segments.path(tmp_path, 3)
    second.write_bytes(lines[2] + b"\n" + lines[3] + b"\n")
    first.write_bytes(lines[0] + b"\n" + lines[1] + b"\n\n")
    assert verified(tmp_path).flaws == []
    first.write_bytes(lines[0] + b"\n" + lines[1] + b"\n\n" + lines[2] + b"\n")
    assert verified(tmp_path).flaws[0].seq == 3


def test_removed_segments_are_said_and_the_rest_is_verified(
    tmp_path: Path, journal: Sample
) -> None:
    first, second, *_ = segments.listing(tmp_path)
    segments.path(tmp_path, first).unlink()
    report = verified(tmp_path)
    assert report.flaws == []
    assert report.checked[0].first == second
    assert f"records 1 to {second - 1} of" in report.notes[0]


def test_a_journal_without_any_record_left_is_cut(tmp_path: Path, journal: Sample) -> None:
    for first in segments.listing(tmp_path):
        segments.path(tmp_path, first).unlink()
    [flaw] = verified(tmp_path).flaws
    assert (flaw.kind, flaw.seq, flaw.until) == ("truncated", 1, 30)


def test_a_checkpoint_kept_elsewhere_tells_of_a_cut_and_of_a_new_chain(
    tmp_path: Path, journal: Sample
) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(journal.notes[1])
    (tmp_path / "checkpoints").unlink()
    assert verified(tmp_path, kept).checked == [Checked(NODE, 1, 30, 20, 1)]
    before = list(journal.lines)
    del journal.lines[12:], journal.places[12:], journal.notes[:]
    journal.write(tmp_path)
    assert verified(tmp_path).flaws == []
    [cut] = verified(tmp_path, kept).flaws
    assert (cut.kind, cut.seq, cut.until, cut.place.file) == ("truncated", 13, 20, str(kept))
    journal.lines[:] = chained([record(random.Random(n)) for n in range(30)])
    journal.places[:] = [1] * len(before)
    journal.write(tmp_path)
    assert verified(tmp_path).flaws == []
    [new] = verified(tmp_path, kept).flaws
    assert (new.kind, new.seq, new.until) == ("rewritten", 1, 20)


def test_an_export_may_begin_anywhere_and_hold_several_nodes(tmp_path: Path) -> None:
    dice, other = random.Random(3), signer(OTHER_NODE)
    ours = chained([record(dice) for _ in range(20)])
    theirs = chained([record(dice) for _ in range(20)], OTHER_NODE)
    mixed = [line for pair in zip(ours[5:], theirs[5:], strict=True) for line in pair]
    kept = tmp_path / "kept"
    kept.write_bytes(sealed(ours, 12) + b"\n" + sealed(theirs, 15, other, OTHER_NODE))
    keys = [KEY.verifier, other.verifier]
    report = verify(sources([export(tmp_path, *mixed)]), keys, [kept])
    assert report.flaws == []
    assert report.checked == [Checked(NODE, 6, 20, 12, 1), Checked(OTHER_NODE, 6, 20, 15, 1)]
    mixed[4] = mixed[4].replace(b'"event"', b'"Event"')
    [flaw] = verify(sources([export(tmp_path, *mixed)]), keys, [kept]).flaws
    assert (flaw.kind, flaw.node, flaw.seq, flaw.place.line) == ("altered", NODE, 8, 5)
    del mixed[7]
    flaws = verify(sources([export(tmp_path, *mixed)]), keys, [kept]).flaws
    assert {(flaw.kind, flaw.node, flaw.seq) for flaw in flaws} == {
        ("altered", NODE, 8),
        ("missing", OTHER_NODE, 9),
    }


def test_an_export_of_a_node_whose_key_is_not_given_is_not_believed(tmp_path: Path) -> None:
    dice = random.Random(3)
    file = export(tmp_path, *chained([record(dice) for _ in range(5)], OTHER_NODE))
    [flaw] = verify(sources([file]), [KEY.verifier]).flaws
    assert (flaw.kind, flaw.node, flaw.place.line) == ("foreign", OTHER_NODE, 1)


def test_half_a_checkpoint_is_no_flaw(tmp_path: Path, journal: Sample) -> None:
    file = tmp_path / "checkpoints"
    file.write_bytes(file.read_bytes()[:-40])
    report = verified(tmp_path)
    assert report.flaws == []
    assert report.checked[0].proven == 20
    assert "its last checkpoint is not whole" in report.notes[0]


@pytest.mark.parametrize("kept_bytes", [0, 40])
def test_a_kept_file_without_a_whole_checkpoint_verifies_nothing(
    tmp_path: Path, journal: Sample, kept_bytes: int
) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes((tmp_path / "checkpoints").read_bytes()[:kept_bytes])
    with pytest.raises(InputError, match="kept holds no whole checkpoint"):
        verify(sources([tmp_path]), [KEY.verifier], [kept])


def test_memory_stays_flat(tmp_path: Path) -> None:
    padding = b"x" * 2_000
    with segments.path(tmp_path, 1).open("wb") as file:
        prev = GENESIS
        for seq in range(1, 10_001):
            line = compose(NODE, prev, seq, b'{"padding":"%s"}' % padding)
            prev = digest(line)
            file.write(line)
    tracemalloc.start()
    report = verify(sources([tmp_path]), [KEY.verifier])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.checked[0].last == 10_000
    assert most < 8 << 20


def test_a_line_that_was_copied_from_further_behind_was_put_in(
    tmp_path: Path, journal: Sample
) -> None:
    journal.lines.insert(4, journal.lines[21])
    journal.places.insert(4, 1)
    journal.write(tmp_path)
    [flaw] = verified(tmp_path).flaws
    assert (flaw.kind, flaw.seq, flaw.place.line) == ("inserted", 5, 5)


def test_what_is_signed_is_not_suspected(tmp_path: Path, journal: Sample) -> None:
    """Record 11 is wholly another one, its link too; 10 is as it was signed."""
    journal.lines[10] = compose(NODE, "ab" * 32, 11, record(random.Random(9)))[:-1]
    journal.write(tmp_path)
    [flaw] = verified(tmp_path).flaws
    assert (flaw.kind, flaw.seq, flaw.until) == ("altered", 11, 11)


def test_nothing_comes_before_the_first_record(tmp_path: Path) -> None:
    first = compose(NODE, "ab" * 32, 1, record(random.Random(0)))
    second = compose(NODE, digest(first), 2, record(random.Random(1)))
    [flaw] = verify(sources([export(tmp_path, first[:-1], second[:-1])]), []).flaws
    assert (flaw.kind, flaw.seq) == ("altered", 1)


def test_a_segment_begins_with_the_record_that_it_is_named_after(
    tmp_path: Path, journal: Sample
) -> None:
    segments.path(tmp_path, 1).unlink()
    second = segments.path(tmp_path, 15)
    second.write_bytes(second.read_bytes().partition(b"\n")[2])
    [flaw] = verified(tmp_path).flaws
    assert (flaw.kind, flaw.seq, flaw.until) == ("missing", 15, 15)


def test_a_wrong_number_of_the_last_record_is_one(tmp_path: Path) -> None:
    lines = chained([record(random.Random(n)) for n in range(4)])
    lines[3] = lines[3].replace(b'"seq":4', b'"seq":7')
    [flaw] = verify(sources([export(tmp_path, *lines)]), []).flaws
    assert (flaw.kind, flaw.seq, flaw.until) == ("altered", 4, 4)


def test_what_holds_no_record_is_not_called_sound(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no record"):
        verify(sources([export(tmp_path)]), [KEY.verifier])


def test_of_a_file_of_something_else_the_first_line_is_named(tmp_path: Path) -> None:
    [flaw] = verify(sources([export(tmp_path, *[b"no line"] * 200_000)]), []).flaws
    assert (flaw.kind, flaw.place.line) == ("damaged", 1)


def test_invented_nodes_come_to_an_end(tmp_path: Path) -> None:
    invented = (compose(f"node-{n}", GENESIS, 1, b"{}")[:-1] for n in range(10_001))
    with pytest.raises(InputError, match="more than 10000 nodes"):
        verify(sources([export(tmp_path, *invented)]), [])


def test_a_line_without_end_is_cut_into_pieces(tmp_path: Path) -> None:
    file, began = tmp_path / "export", time.monotonic()
    with file.open("wb") as opened:
        opened.truncate(256 << 20)
    assert sum(len(data) for _, data, _ in lines(file, lambda _: None)) == 256 << 20
    assert time.monotonic() - began < 10


def test_a_segment_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(segments.path(tmp_path, 1))
    with pytest.raises(InputError, match="is no file"):
        sources([tmp_path])
