"""The days of PostgreSQL's decision log: each a partition, made when due and dropped whole.

A day is the number of days since the epoch, UTC. Partitions are made apart and then attached, for
which nobody has to wait; to drop one takes the whole table for a moment.
"""

import re
from typing import Final

from sqlalchemy import Connection, text

DAY_US: Final = 86_400_000_000
_NAME: Final = re.compile(r"decisions_day_([0-9]{1,7})")
_DROP_MILLISECONDS: Final = 300


def days(connection: Connection) -> set[int]:
    """The days that have a partition."""
    rows = connection.execute(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'decisions'::regclass"
        )
    )
    return {int(found[1]) for found in map(_NAME.fullmatch, rows.scalars()) if found}


def make(connection: Connection, day: int) -> None:
    """Make the day's partition, which must not be there: nobody else may make one meanwhile."""
    name = _name(day)
    connection.execute(text(f"CREATE TABLE {name} (LIKE decisions)"))
    connection.execute(
        text(
            f"ALTER TABLE decisions ATTACH PARTITION {name} "
            f"FOR VALUES FROM ({day * DAY_US}) TO ({(day + 1) * DAY_US})"
        )
    )


def drop(connection: Connection, day: int) -> None:
    """Drop the day's partition and all that is in it.

    It waits for whoever reads, and all others for it. So it gives up soon: a DBAPIError.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = {_DROP_MILLISECONDS}"))
    connection.execute(text(f"DROP TABLE {_name(day)}"))


def _name(day: int) -> str:
    return f"decisions_day_{day:d}"
