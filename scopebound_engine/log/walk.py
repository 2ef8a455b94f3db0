"""The records of one node in their order, held against their chain and their checkpoints."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from scopebound_engine.errors import LineError
from scopebound_engine.log import chain
from scopebound_engine.log.chain import GENESIS, Link
from scopebound_engine.log.diagnosis import Break, Seen, diagnosed
from scopebound_engine.log.flaws import Flaw, Place

_NUMBER: Final = re.compile(rb'"seq":([1-9][0-9]{0,18})\},"record":')
# A line says its number within so many bytes.
_BEGINNING: Final = 512


@dataclass(frozen=True, slots=True)
class Seal:
    """What a checkpoint says whose signature was verified: the hash of the record `size`."""

    size: int
    hash: str
    place: Place


class Walk:
    """Takes lines one after another, and keeps only what a break would be judged by.

    `first` and `last` are the numbers of the first and the last record that are sound (`first` is 0
    before there is one), `proven` that of the last one up to which checkpoints vouch for all, and
    `matched` counts those checkpoints.
    """

    def __init__(
        self,
        node: str,
        seals: Iterator[Seal],
        *,
        after: tuple[int, str] | None = None,
        due: int = 0,
    ) -> None:
        """`after` is the number and the hash of the record before the first line.

        Without it the walk begins with whichever record comes first, or with `due`.
        """
        self.node = node
        self.first = self.proven = self.matched = 0
        self.last, self._hash = after or (max(0, due - 1), GENESIS)
        self._before, self._place = "", ("", 0)
        self._begun, self._due = after is not None, due
        self._seals, self._seal = seals, next(seals, None)
        while after is not None and self._seal is not None and self._seal.size <= after[0]:
            self._seal = next(seals, None)
        self._break: Break | None = None
        self._lines_behind = 0
        # As chain.compose writes it; what differs is looked at more closely.
        self._head = chain.compose(node, "", 1, b"").partition(b'","seq"')[0]

    @property
    def hash(self) -> str:
        """The hash of the last record that is sound."""
        return self._hash

    @property
    def broken(self) -> bool:
        """Whether something is wrong."""
        return self._break is not None

    @property
    def settled(self) -> bool:
        """Whether more lines can tell no more: what is wrong is clear."""
        found = self._break
        if found is None or not self._lines_behind:
            return False
        return found.line is None or found.line.link.seq <= found.due

    def claims(self, line: bytes) -> bool:
        """Whether this is, as far as its beginning tells, a line of this node."""
        return line.startswith(self._head)

    def take(self, data: bytes, file: str, number: int) -> None:
        """The next line, without its newline; it is the `number`th of this file."""
        if self._break is not None:
            self._look(self._break, data, Place(file, number))
            return
        beginning = b'%b%b","seq":%d},"record":{' % (
            self._head,
            self._hash.encode(),
            self.last + 1,
        )
        goes_on = self._begun and data.startswith(beginning) and data.endswith(b"}}")
        if not goes_on and not self._begins(data, Place(file, number)):
            return
        # Not chain.digest, which goes in small steps for those who hold the journal's lock.
        hashed = hashlib.sha256(data).hexdigest()
        if self._seal is not None and self._seal.size == self.last + 1 and not self._fits(hashed):
            self._stop(data, Place(file, number))
            return
        self._before, self._hash = self._hash, hashed
        self._place = (file, number)
        self.last += 1
        self.first = self.first or self.last

    def flaw(self) -> Flaw | None:
        """What is wrong, once there are no more lines: the first thing, or None."""
        if self._break is not None:
            return diagnosed(self._break)
        sizes = [seal for seal in (self._seal, *self._seals) if seal and seal.size > self.last]
        if not sizes:
            return None
        newest, missing = sizes[-1], self.last + 1
        return Flaw(
            "truncated",
            self.node,
            missing,
            newest.size,
            newest.place,
            f"this checkpoint has {newest.size} records: records {missing} to {newest.size} are "
            "missing at the end",
        )

    def _begins(self, data: bytes, place: Place) -> bool:
        """Whether the walk can begin with this line; where not, it stops there."""
        seen = _seen(data, place)
        if seen is None or self._begun or seen.link.node != self.node:
            self._stop(data, place)
            return False
        seq, prev = seen.link.seq, seen.link.prev
        if seq != (self._due or seq) or (seq == 1 and prev != GENESIS):
            self._stop(data, place)
            return False
        self._begun, self.last, self._hash = True, seq - 1, prev
        while self._seal is not None and self._seal.size < self.last:
            self._seal = next(self._seals, None)
        before = self._seal
        if before is not None and before.size == self.last and not self._fits(prev):
            self._hash = before.hash
            self.proven = self.last
            self._stop(data, place)
            return False
        return True

    def _fits(self, hashed: str) -> bool:
        """Whether the checkpoints that are due have this hash; those that do are over then."""
        size = self._seal.size if self._seal else 0
        while self._seal is not None and self._seal.size == size:
            if self._seal.hash != hashed:
                return False
            self.proven, self.matched = size, self.matched + 1
            self._seal = next(self._seals, None)
        return True

    def _stop(self, data: bytes, place: Place) -> None:
        due = self.last + 1 if self._begun or self._due else 0
        last = None
        if self._begun:
            link = Link(self.node, self._before, self.last, b"")
            last = Seen(link, self._hash, Place(*self._place))
        sealed = self._seal.hash if self._seal and self._seal.size == due else None
        seen = _seen(data, place)
        if not due:
            due = 1 if seen else 0
        self._break = Break(self.node, due, last, seen, place, self.proven, sealed)

    def _look(self, found: Break, data: bytes, place: Place) -> None:
        """What lies behind a break: the line after it whole, of the others the numbers."""
        self._lines_behind += 1
        if self._lines_behind == 1:
            found.behind = _seen(data, place)
            if not found.due and found.behind:
                found.due = found.behind.link.seq - 1
        number = _NUMBER.search(data, 0, _BEGINNING)
        if number is None or found.line is None:
            return
        if int(number[1]) == found.due and found.due_at is None:
            found.due_at = place
        found.again = found.again or int(number[1]) == found.line.link.seq


def _seen(data: bytes, place: Place) -> Seen | None:
    try:
        return Seen(chain.split(data), chain.digest(data), place)
    except LineError:
        return None
