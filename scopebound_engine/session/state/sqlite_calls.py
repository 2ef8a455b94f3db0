"""Call ids in the state file of a host: what a call with one found, for when it comes again."""

from typing import Final

from scopebound_engine.session.state.seam import (
    CALL_IDS_PER_SESSION,
    MAX_REPLAYS,
    REPEAT_US,
    Entry,
    SessionFacts,
    Standing,
    Units,
    facts,
)
from scopebound_engine.session.state.sqlite_file import Execute
from scopebound_engine.session.state.sqlite_row import unpacked

# A session's call ids have so many places; a new one takes the place of the one that long ago.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS call_ids (
    session_id   TEXT    NOT NULL,
    call_id      TEXT    NOT NULL,
    place        INTEGER NOT NULL,
    digest       TEXT    NOT NULL,
    first_us     INTEGER NOT NULL,
    replays      INTEGER NOT NULL,
    minute_units INTEGER NOT NULL,
    hour_units   INTEGER NOT NULL,
    server_units INTEGER NOT NULL,
    counts       BLOB    NOT NULL,
    PRIMARY KEY (session_id, call_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS uq_call_ids_place ON call_ids (session_id, place);
CREATE INDEX IF NOT EXISTS ix_call_ids_first_us ON call_ids (first_us);
"""
SWEEP: Final = (
    "DELETE FROM call_ids WHERE (session_id, call_id) IN "
    "(SELECT session_id, call_id FROM call_ids WHERE first_us < ? LIMIT ?)"
)
DROP: Final = "DELETE FROM call_ids WHERE session_id IN (SELECT value FROM json_each(?))"
_SELECT: Final = (
    "SELECT digest, replays, counts, minute_units, hour_units, server_units FROM call_ids "
    "WHERE session_id = ? AND call_id = ? AND first_us > ?"
)
_REPLAYED: Final = "UPDATE call_ids SET replays = ? WHERE session_id = ? AND call_id = ?"
# Both what had the id and what had the place go.
_REMEMBER: Final = "REPLACE INTO call_ids VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?)"


def repeated(execute: Execute, entry: Entry, standing: Standing, now: int) -> SessionFacts | None:
    """The facts of a call that came before, or whose id was given to another one; else None."""
    if entry.call_id is None:
        return None
    key = (entry.session_id, entry.call_id)
    found = execute(_SELECT, (*key, now - REPEAT_US)).fetchone()
    if found is None:
        return None
    digest, replays, counts, *units = found
    if digest != entry.digest:
        return facts(entry, standing, Units(*units), unpacked(counts), conflict=True)
    if replays == MAX_REPLAYS:
        return None
    execute(_REPLAYED, (replays + 1, *key))
    return facts(entry, standing, Units(*units), unpacked(counts), replayed=replays + 1)


def remember(
    execute: Execute, entry: Entry, units: Units, counts: bytes, number: int, now: int
) -> None:
    """Note what a call found; it is the session's call of that number that has an id."""
    place = number % CALL_IDS_PER_SESSION
    named = (entry.session_id, entry.call_id, place, entry.digest, now)
    execute(_REMEMBER, (*named, *units, counts))
