"""The journal is verified while it is written: what is new soon, all of it now and then."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scopebound_engine.log import checkpoints, segments
from scopebound_engine.log.checkpointing import Checkpointer
from scopebound_engine.log.journal import Journal
from scopebound_engine.log.rounds import Rounds
from scopebound_engine.log.status import VERIFICATION, Status, problems
from tests.log.tampering import KEY, NODE, sealed


class Node:
    """A journal that is written, signed and verified by a clock that tests set."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1_000.0
        self.journal = Journal(folder, NODE, segment_bytes=20_000)
        self.signing = Checkpointer(folder, KEY, self.journal.head, lambda: self.now)
        self.rounds = self.started()

    def started(self, run_seconds: float = 10) -> Rounds:
        return Rounds(
            self.folder,
            NODE,
            lambda: [KEY.verifier],
            lambda: self.now,
            run_seconds=run_seconds,
            round_seconds=3_600,
        )

    def write(self, many: int = 60) -> None:
        for number in range(many):
            self.journal.append(b'{"number":%d,"padding":"%s"}' % (number, b"x" * 500))
        self.now += 10
        self.signing.run()

    def edit(self, number: int) -> None:
        """Change a record in its segment."""
        first = max(one for one in segments.listing(self.folder) if one <= number)
        file = segments.path(self.folder, first)
        lines = file.read_bytes().splitlines(keepends=True)
        lines[number - first] = lines[number - first].replace(b"xx", b"yy", 1)
        file.write_bytes(b"".join(lines))

    @property
    def verified_at(self) -> float | None:
        found: float | None = Status(self.folder, VERIFICATION).read()["last_chain_verified_at"]
        return found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.journal.close()


def test_what_is_new_is_verified_each_time(node: Node) -> None:
    for _ in range(3):
        node.write()
        node.rounds.run()
        assert node.verified_at == node.now
        assert problems(node.folder) == []
    assert len(segments.listing(node.folder)) > 3


def test_an_empty_journal_is_sound(node: Node) -> None:
    checkpoints.append(node.folder / checkpoints.FILE, [sealed([], 0)])
    node.rounds.run()
    assert (node.verified_at, problems(node.folder)) == (node.now, [])


def test_a_change_of_something_new_is_found_at_once_and_time_stands_still(node: Node) -> None:
    node.write()
    node.rounds.run()
    before = node.verified_at
    node.write()
    node.edit(90)
    node.rounds.run()
    assert node.verified_at == before
    [problem] = problems(node.folder)
    assert "record 90" in problem


def test_a_change_of_something_old_is_found_by_the_next_round(node: Node) -> None:
    node.write()
    node.rounds.run()
    node.edit(7)
    node.now += 3_589
    node.rounds.run()
    assert problems(node.folder) == []
    node.now += 1
    node.rounds.run()
    assert "record 7" in problems(node.folder)[0]
    node.rounds.run()
    assert "record 7" in problems(node.folder)[0]


def test_what_was_put_right_is_no_problem_any_more(node: Node) -> None:
    node.write()
    files = {path: path.read_bytes() for path in node.folder.glob("journal-*")}
    node.edit(7)
    node.rounds.run()
    assert problems(node.folder)
    for path, data in files.items():
        path.write_bytes(data)
    node.now += 10
    node.rounds.run()
    assert (node.verified_at, problems(node.folder)) == (node.now, [])


def test_a_bad_segment_that_was_moved_away_is_no_problem_any_more(node: Node) -> None:
    node.write()
    node.rounds.run()
    node.write()
    node.edit(90)
    node.rounds.run()
    assert problems(node.folder)
    bad = max(one for one in segments.listing(node.folder) if one <= 90)
    for first in segments.listing(node.folder):
        if first <= bad:
            segments.path(node.folder, first).unlink()
    node.now += 5
    node.rounds.run()
    assert (node.verified_at, problems(node.folder)) == (node.now, [])
    node.write()
    node.edit(170)
    node.rounds.run()
    assert "record 170" in problems(node.folder)[0]


def test_a_cut_tail_is_found(node: Node) -> None:
    node.write()
    node.rounds.run()
    node.write()
    node.journal.close()
    removed = [first for first in segments.listing(node.folder) if first > 70]
    for first in removed:
        segments.path(node.folder, first).unlink()
    node.rounds.run()
    assert f"records {removed[0]} to 120 are missing" in problems(node.folder)[0]


def test_a_forged_checkpoint_is_found(node: Node) -> None:
    node.write()
    file = node.folder / checkpoints.FILE
    file.write_bytes(file.read_bytes().replace(b"\n60\n", b"\n61\n"))
    node.rounds.run()
    assert "not believed" in problems(node.folder)[0]


def test_a_run_is_bounded_and_the_next_one_goes_on_also_after_a_restart(node: Node) -> None:
    node.write(300)
    rounds = node.started(run_seconds=0)
    rounds.run()
    assert node.verified_at is None
    runs = 1
    while node.verified_at is None:
        node.started(run_seconds=0).run()
        runs += 1
    assert runs == 301


def test_removed_segments_are_not_missed(node: Node) -> None:
    node.write(300)
    node.rounds.run()
    for first in segments.listing(node.folder)[:3]:
        segments.path(node.folder, first).unlink()
    node.now += 3_600
    node.rounds.run()
    assert problems(node.folder) == []
    node.started().run()
    assert (node.verified_at, problems(node.folder)) == (node.now, [])


def test_a_round_goes_on_where_segments_were_removed_under_it(node: Node) -> None:
    node.write(300)
    node.rounds.run()
    node.now += 3_600
    node.started(run_seconds=0).run()
    for first in segments.listing(node.folder)[:3]:
        segments.path(node.folder, first).unlink()
    node.now += 10
    node.started().run()
    assert (node.verified_at, problems(node.folder)) == (node.now, [])
    assert Status(node.folder, VERIFICATION).read()["round_at"] == node.now
