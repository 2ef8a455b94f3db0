"""How far a node's journal is in the database: the last line that is, and where it ends."""

from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from scopebound_engine.database.log_tables import log_cursors
from scopebound_engine.log import chain, segments
from scopebound_engine.log.segments import Position


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last line: its segment, the offset of its end, number, length and hash.

    Before the first line, and where a journal is gone through again, `length` is 0.
    """

    segment: int = 0
    offset: int = 0
    seq: int = 0
    length: int = 0
    hash: str = chain.GENESIS

    def position(self) -> Position:
        """Where the next line begins."""
        return Position(self.segment, self.offset, self.seq + 1)


def load(connection: Connection, node: str) -> Cursor:
    """The node's cursor; that before the first line where nothing was shipped yet."""
    row = connection.execute(select(log_cursors).where(log_cursors.c.node == node)).first()
    if row is None:
        return Cursor()
    return Cursor(row.segment, row.offset, row.seq, row.length, row.hash)


def advance(connection: Connection, node: str, old: Cursor, new: Cursor) -> bool:
    """Put `new` in the place of `old`; False where it is not there any more.

    Whoever does the same meanwhile waits for the end of this transaction, and then finds it gone.
    """
    values = {"node": node, **asdict(new)}
    if old == Cursor():
        is_sqlite = connection.dialect.name == "sqlite"
        insert = sqlite.insert(log_cursors) if is_sqlite else postgresql.insert(log_cursors)
        first = insert.values(values).on_conflict_do_nothing().returning(log_cursors.c.node)
        return connection.execute(first).first() is not None
    change = log_cursors.update().values(values).where(log_cursors.c.node == node)
    for name, value in asdict(old).items():
        change = change.where(log_cursors.c[name] == value)
    return connection.execute(change.returning(log_cursors.c.node)).first() is not None


def is_there(folder: Path, cursor: Cursor) -> bool:
    """Whether the journal still has the cursor's line where it was. Raises OSError."""
    if not cursor.length:
        return True
    try:
        with segments.path(folder, cursor.segment).open("rb") as file:
            file.seek(cursor.offset - cursor.length - 1)
            line = file.read(cursor.length + 1)
    except FileNotFoundError:
        return False
    return line.endswith(b"\n") and chain.digest(line) == cursor.hash
