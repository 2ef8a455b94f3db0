import pytest

from scopebound_engine.api.seats import Seats
from scopebound_engine.errors import BusyError


def test_whoever_finds_no_seat_is_told_to_come_again() -> None:
    seats = Seats(2, retry_after_seconds=7)
    with seats.take(), seats.take():
        with pytest.raises(BusyError, match="2 requests like this one") as busy, seats.take():
            pytest.fail("there was a third seat")
        assert busy.value.retry_after_seconds == 7
    with seats.take(), seats.take():
        pass


def test_a_seat_is_given_back_whatever_happens() -> None:
    seats = Seats(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="unfit"), seats.take():
            raise ValueError("unfit")
