"""What workers see of the clerk."""

import time
from pathlib import Path

import pytest

from scopebound_engine.clerk import status
from scopebound_engine.clerk.status import Lag, Seen, Shipped, Status, Waiting, Watch
from scopebound_engine.housekeeping import LaneReport
from tests.journals import Written, record


@pytest.fixture
def journal(tmp_path: Path) -> Written:
    written = Written(tmp_path / "log")
    written.append(*(record(number) for number in range(5)))
    return written


def seen(journal: Written, **fields: object) -> Seen:
    said = Status(**{"at": time.time(), "pid": 1, **fields})  # type: ignore[arg-type]
    status.write(journal.folder, said)
    return Watch(journal.folder).look()


def test_what_is_written_is_read(journal: Written) -> None:
    said = Status(
        1.5, 2, Shipped(3, 4.5), Waiting(1, 2.5), {"ship": LaneReport("", 0.5, "a problem", 2.0)}
    )
    status.write(journal.folder, said)
    assert status.read(journal.folder) == said


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": "then"}', '{"at": 1, "pid": 2, "x": {}}'])
def test_a_damaged_file_never_raises(journal: Written, text: str) -> None:
    (journal.folder / status.FILE).write_text(text)
    Watch(journal.folder).look().problems()


def test_nothing_waits_where_all_is_shipped(journal: Written) -> None:
    now = seen(journal, shipped=Shipped(5))
    assert (now.is_up, now.lag, now.problems()) == (True, Lag(0, 0.0), [])


def test_records_that_came_since_are_behind_from_then_on(journal: Written) -> None:
    lag = seen(journal, at=time.time() - 5, shipped=Shipped(3)).lag
    assert lag == Lag(2, pytest.approx(5, abs=1))


def test_records_that_wait_for_long_are_a_problem(journal: Written) -> None:
    now = seen(journal, shipped=Shipped(1, time.time() - 100))
    assert now.lag == Lag(4, pytest.approx(100, abs=1))
    [problem] = now.problems()
    assert problem.startswith("the decision log is 4 records and 10")
    assert problem.endswith("behind in the database")


def test_before_anything_is_known_of_the_database_there_is_no_lag(journal: Written) -> None:
    assert seen(journal).lag is None


def test_one_that_fell_silent_is_a_problem_and_its_records_are_counted(journal: Written) -> None:
    watch = Watch(journal.folder)
    watch._began -= 100
    status.write(journal.folder, Status(time.time() - 60, 1, Shipped(4)))
    now = watch.look()
    assert not now.is_up
    assert now.problems()[0].startswith("the clerk has been silent for 6")
    assert now.lag == Lag(1, pytest.approx(60, abs=1))


def test_a_new_worker_gives_the_clerk_time_to_start(journal: Written) -> None:
    assert seen(journal, at=time.time() - 3600, shipped=Shipped(5)).is_up
    (journal.folder / status.FILE).unlink()
    assert Watch(journal.folder).look().is_up


def test_jobs_that_fail_or_hang_are_problems_after_a_while(journal: Written) -> None:
    lanes = {
        "one": LaneReport("", 0.0, "ship the decision log: no disk", 20.0),
        "two": LaneReport("fit baselines", 400.0),
        "three": LaneReport("sweep", 1.0, "sweep: just now", 0.5),
    }
    assert seen(journal, shipped=Shipped(5), lanes=lanes).problems() == [
        "the clerk cannot ship the decision log: no disk",
        "the clerk has been at 'fit baselines' for 400 s",
    ]


def test_webhooks_that_wait_for_long_are_a_problem(journal: Written) -> None:
    assert seen(journal, webhooks=Waiting(3, 60.0)).problems() == []
    [problem] = seen(journal, webhooks=Waiting(3, 1000.0)).problems()
    assert problem == "3 webhooks wait to be delivered, one for 1000 s"


def test_the_file_is_looked_at_once_a_second(journal: Written) -> None:
    status.write(journal.folder, Status(time.time(), 1))
    watch = Watch(journal.folder)
    first = watch.look()
    status.write(journal.folder, Status(time.time(), 2))
    assert watch.look() is first
    watch._seen_at -= 2
    assert watch.look().status is not None
    assert watch.look().status.pid == 2  # type: ignore[union-attr]
