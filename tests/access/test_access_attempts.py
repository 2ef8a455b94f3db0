import pytest

from scopebound_engine.access.attempts import MAX_ADDRESSES, MOST, SECONDS, WrongKeys
from scopebound_engine.errors import TooManyAttemptsError
from tests.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wrong_keys(clock: Clock) -> WrongKeys:
    return WrongKeys(clock)


def refused(wrong_keys: WrongKeys, address: str = "192.0.2.1") -> int | None:
    """How long to wait, None when one more is bearable."""
    try:
        wrong_keys.count(address)
    except TooManyAttemptsError as error:
        return error.retry_after_seconds
    return None


def test_twenty_in_a_minute_are_told_and_the_next_is_too_many(wrong_keys: WrongKeys) -> None:
    assert [refused(wrong_keys) for _ in range(MOST)] == [None] * 20
    assert refused(wrong_keys) == 60


def test_the_minute_slides(wrong_keys: WrongKeys, clock: Clock) -> None:
    for _ in range(MOST):
        assert refused(wrong_keys) is None
        clock.now += 2  # the last one comes 38 s after the first
    assert refused(wrong_keys) == 22  # when the second is a minute old
    clock.now += 22
    assert refused(wrong_keys) is None


def test_attempts_that_are_refused_count_as_well(wrong_keys: WrongKeys, clock: Clock) -> None:
    for _ in range(MOST):
        refused(wrong_keys)
    for _ in range(10):
        clock.now += 30
        refusals = [refused(wrong_keys) for _ in range(MOST)]
        assert None not in refusals
    clock.now += SECONDS
    assert refused(wrong_keys) is None


def test_the_wait_is_long_enough_and_whole_seconds(wrong_keys: WrongKeys, clock: Clock) -> None:
    for _ in range(MOST + 1):
        wait = refused(wrong_keys)
    clock.now += 0.25
    wait = refused(wrong_keys)
    assert wait == 60
    clock.now += wait
    assert refused(wrong_keys) is None


def test_addresses_are_counted_apart(wrong_keys: WrongKeys) -> None:
    for _ in range(MOST + 1):
        refused(wrong_keys, "192.0.2.1")
    assert refused(wrong_keys, "192.0.2.2") is None
    assert refused(wrong_keys, "") is None


def test_no_more_than_so_many_addresses_are_remembered(wrong_keys: WrongKeys) -> None:
    for _ in range(MOST):
        refused(wrong_keys, "quiet")
        refused(wrong_keys, "busy")
    for number in range(MAX_ADDRESSES - 2):
        refused(wrong_keys, f"other-{number}")
    assert refused(wrong_keys, "busy") is not None
    refused(wrong_keys, "one more")
    assert refused(wrong_keys, "busy") is not None
    assert refused(wrong_keys, "quiet") is None


def test_an_address_is_told_of_once_a_minute(clock: Clock) -> None:
    told: list[str] = []
    wrong_keys = WrongKeys(clock, told.append)
    for _ in range(MOST):
        refused(wrong_keys)
    assert told == []
    for _ in range(5):
        refused(wrong_keys)
    clock.now += 59
    for _ in range(MOST):
        refused(wrong_keys)
    assert told == ["192.0.2.1"]
    clock.now += 1
    refused(wrong_keys)
    assert told == ["192.0.2.1"] * 2
