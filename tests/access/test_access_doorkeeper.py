from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.attempts import MOST
from scopebound_engine.access.doorkeeper import Doorkeeper
from scopebound_engine.database.engine import open_database
from scopebound_engine.errors import (
    AuthenticationError,
    DatabaseUnavailableError,
    TooManyAttemptsError,
)
from scopebound_engine.times import moment

ENFORCE = frozenset({"enforce"})
WRONG = "sb-" + "x" * 43


class Door:
    """A doorkeeper of a database, with all that it uses."""

    def __init__(self, engine: Engine) -> None:
        self.store = ApiKeyStore(engine, lambda: 1_777_464_000.0)
        self.keeper = Doorkeeper(self.store, lambda: 1_777_464_007.0, monotonic=lambda: 0.0)


@pytest.fixture
def door(database: Engine) -> Iterator[Door]:
    made = Door(database)
    yield made
    made.keeper.close()


def knock_until_it_is_too_much(door: Door) -> None:
    for _ in range(MOST):
        with pytest.raises(AuthenticationError, match="unknown or was revoked"):
            door.keeper.admit(WRONG, "192.0.2.1")
    with pytest.raises(TooManyAttemptsError, match="more than 20 wrong API keys"):
        door.keeper.admit(WRONG, "192.0.2.1")


def test_a_valid_key_is_admitted_and_its_use_noted(door: Door) -> None:
    key, secret = door.store.create("ci", ENFORCE)
    assert door.keeper.admit(secret, "192.0.2.1") == key
    door.keeper.close()
    assert door.store.get(key.id).last_used_at == moment(1_777_464_007.0)


def test_a_valid_key_is_admitted_from_an_address_with_too_many_wrong_ones(door: Door) -> None:
    key, secret = door.store.create("ci", ENFORCE)
    knock_until_it_is_too_much(door)
    assert [door.keeper.admit(secret, "192.0.2.1") for _ in range(3)] == [key] * 3


def test_valid_keys_are_not_counted(door: Door) -> None:
    _, secret = door.store.create("ci", ENFORCE)
    for _ in range(MOST * 2):
        door.keeper.admit(secret, "192.0.2.1")
    knock_until_it_is_too_much(door)


def test_a_revoked_key_is_a_wrong_one_and_not_used(door: Door) -> None:
    key, secret = door.store.create("ci", ENFORCE)
    door.store.revoke(key.id)
    for _ in range(MOST):
        with pytest.raises(AuthenticationError):
            door.keeper.admit(secret, "192.0.2.1")
    with pytest.raises(TooManyAttemptsError):
        door.keeper.admit(secret, "192.0.2.1")
    door.keeper.close()
    assert door.store.get(key.id).last_used_at is None


def test_while_the_database_is_away_no_key_is_called_wrong(tmp_path: Path) -> None:
    door = Door(open_database("postgresql://x@127.0.0.1:1/x", tmp_path))
    for _ in range(MOST + 1):
        with pytest.raises(DatabaseUnavailableError):
            door.keeper.admit(WRONG, "192.0.2.1")
