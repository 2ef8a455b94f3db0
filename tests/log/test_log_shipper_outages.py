"""What a shipper could not bring to a server that was away is brought once it is back."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection

from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.errors import DatabaseUnavailableError
from scopebound_engine.log.entries import Entry
from scopebound_engine.log.shipper import Shipper
from tests.journals import NODE, Written, record
from tests.log.shipping import stored
from tests.postgres import PostgresServer


def test_what_came_during_an_outage_is_caught_up_with(
    own_postgres: PostgresServer, tmp_path: Path, journal: Written
) -> None:
    database = open_database(own_postgres.url(), tmp_path)
    migrate(database)
    shipper = Shipper(database, journal.folder, NODE)
    journal.append(*(record(number) for number in range(100)))
    shipper.run()
    own_postgres.stop()
    journal.append(*(record(number) for number in range(100, 5_000)))
    with pytest.raises(DatabaseUnavailableError):
        shipper.ship()
    own_postgres.start()
    shipper.run()
    assert stored(database) == journal.texts()
    database.dispose()


def test_a_server_that_falls_silent_within_a_copy_is_left(
    own_postgres: PostgresServer, tmp_path: Path, journal: Written
) -> None:
    database = open_database(own_postgres.url(), tmp_path)
    migrate(database)
    journal.append(*(record(number, note="x" * 2_000) for number in range(1_900)))

    def kill(connection: Connection, entries: Sequence[Entry]) -> None:
        own_postgres.kill()

    with pytest.raises(DatabaseUnavailableError):
        Shipper(database, journal.folder, NODE, [kill]).ship()
    own_postgres.start()
    Shipper(database, journal.folder, NODE).run()
    assert stored(database) == journal.texts()
    database.dispose()
