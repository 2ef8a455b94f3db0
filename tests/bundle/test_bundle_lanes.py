import threading
from pathlib import Path

import pytest

from scopebound_engine.bundle.lanes import Lanes
from scopebound_engine.errors import BusyError, DatabaseUnavailableError


def test_one_at_a_time_is_in_a_lane(tmp_path: Path) -> None:
    here: list[int] = []
    most = []

    def work() -> None:
        with Lanes(tmp_path).uploads():
            here.append(1)
            most.append(len(here))
            here.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_a_rollback_does_not_wait_for_uploads(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path, seconds=0.0)
    with lanes.uploads(), lanes.rollbacks():
        pass


@pytest.mark.parametrize("name", ["uploads", "rollbacks"])
def test_who_waits_too_long_is_told_when_to_come_again(tmp_path: Path, name: str) -> None:
    lane = getattr(Lanes(tmp_path, seconds=0.05), name)
    with lane(), pytest.raises(BusyError) as busy, lane():
        pytest.fail("two were in the lane")
    assert busy.value.retry_after_seconds > 0
    with lane():
        pass


def test_a_database_that_goes_away_within_the_lane_is_no_busy_lane(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError), Lanes(tmp_path).uploads():
        raise DatabaseUnavailableError("away")
