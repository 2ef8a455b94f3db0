"""Where a chain breaks: which record is the first that is not as it was.

A break lies between two lines, and either may be at fault. What follows tells: the next line was
made when the one before it was still sound, so it names the hash that this one must have.
"""

from dataclasses import dataclass
from typing import Final

from scopebound_engine.log import chain
from scopebound_engine.log.flaws import Flaw, Kind, Place

_NOBODY: Final = Place("", 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """A line that was read: what it says of itself, and its hash."""

    link: chain.Link
    hash: str
    place: Place


@dataclass(slots=True)
class Break:
    """The line that does not go on where the one before it ended, and what is known around it.

    `due` is the number that should stand there, `last` the line before, `line` the one that is
    there (None when it is no line of a log), `behind` the next one. `sealed` is the hash that a
    checkpoint has for `due`; records up to `proven` are as they were signed. `due_at` is where
    the record that was due turned up, `again` whether the one in its place stands elsewhere too.
    """

    node: str
    due: int
    last: Seen | None
    line: Seen | None
    place: Place
    proven: int
    sealed: str | None = None
    behind: Seen | None = None
    due_at: Place | None = None
    again: bool = False


def diagnosed(found: Break) -> Flaw:
    """What is wrong there, and with which record."""
    line = found.line
    if line is None:
        return _no_line(found)
    if line.link.node != found.node:
        return _flaw(found, "foreign", f"a line of the node {line.link.node[:80]} stands here")
    if line.link.seq < found.due:
        return _number_again(found, line)
    if line.link.seq > found.due:
        return _number_ahead(found, line)
    if found.last is None or line.link.prev == found.last.hash:
        return _not_as_signed(found, line)
    return _link_broken(found, line, found.last)


def _no_line(found: Break) -> Flaw:
    if _goes_on(found, found.behind, due=found.due):
        return _flaw(found, "inserted", "this is no line of a log; without it the chain is sound")
    return _flaw(found, "damaged", "this is no line of a log")


def _not_as_signed(found: Break, line: Seen) -> Flaw:
    behind = found.behind
    if behind is not None and behind.link.seq == found.due and behind.hash == found.sealed:
        return _flaw(
            found, "inserted", "not the record of this number that was signed, which is next"
        )
    if found.sealed is None or (behind is not None and behind.link.prev == found.sealed):
        return _flaw(found, "altered", "the record was altered")
    since = found.proven + 1
    return Flaw(
        "rewritten",
        found.node,
        since,
        found.due,
        line.place,
        f"record {found.due} is not the one that the checkpoint of this size has: "
        + (f"one of the records {since} to {found.due} was " if since < found.due else "it was ")
        + "altered, and what comes after it was written anew",
    )


def _link_broken(found: Break, line: Seen, last: Seen) -> Flaw:
    if last.link.seq == found.proven:
        return _flaw(found, "altered", "the record was altered, or written anew with all after it")
    expected = {found.sealed, found.behind.link.prev if found.behind else None} - {None}
    if line.hash in expected:
        return _flaw_before(found, last, "altered", "the record was altered")
    mended = chain.compose(found.node, last.hash, found.due, line.link.record)
    if chain.digest(mended) in expected:
        return _flaw(found, "altered", "the record was altered")
    if _goes_on(found, found.behind, due=found.due):
        return _flaw(found, "inserted", "this line was put in; without it the chain is sound")
    return Flaw(
        "altered",
        found.node,
        last.link.seq,
        found.due,
        last.place,
        f"record {last.link.seq} or record {found.due} was altered, or both",
    )


def _number_again(found: Break, line: Seen) -> Flaw:
    """Two lines of one number, one of which the next line knows; or an older one once more."""
    last, seq = found.last, line.link.seq
    again = last is not None and line.hash == last.hash
    if last is not None and not again and line.link.prev == last.link.prev:
        if found.behind is None or found.behind.link.prev == line.hash:
            return _flaw_before(
                found, last, "inserted", f"this line was put in before record {seq}"
            )
        return _flaw(found, "inserted", f"this line was put in behind record {seq}")
    if _is_at_its_place(found):
        return _flaw(found, "altered", f"the record was altered: it says that it is number {seq}")
    return _flaw(found, "inserted", f"record {seq} stands here once more, or one that says so")


def _number_ahead(found: Break, line: Seen) -> Flaw:
    seq = line.link.seq
    if found.due_at is None and _is_at_its_place(found):
        return _flaw(found, "altered", f"the record was altered: it says that it is number {seq}")
    if found.due_at is None:
        many = f"records {found.due} to {seq - 1} are" if seq - 1 > found.due else "the record is"
        return Flaw(
            "missing",
            found.node,
            found.due,
            seq - 1,
            line.place,
            f"{many} missing before this line",
        )
    kind: Kind = "inserted" if found.again else "misplaced"
    return _flaw(found, kind, f"record {seq} stands here; the one due is at {found.due_at}")


def _is_at_its_place(found: Break) -> bool:
    """Whether the line is tied to its neighbours although its number is wrong."""
    line, last, behind = found.line, found.last, found.behind
    fits_last = line is not None and last is not None and line.link.prev == last.hash
    return fits_last or (behind is not None and behind.link.seq == found.due + 1)


def _goes_on(found: Break, line: Seen | None, *, due: int) -> bool:
    """Whether this line is the one that belongs behind the last."""
    last = found.last
    return (
        line is not None
        and last is not None
        and (line.link.node, line.link.seq, line.link.prev) == (found.node, due, last.hash)
    )


def _flaw(found: Break, kind: Kind, why: str) -> Flaw:
    return Flaw(kind, found.node, found.due, found.due, found.place, f"record {found.due}: {why}")


def _flaw_before(found: Break, last: Seen, kind: Kind, why: str) -> Flaw:
    seq = last.link.seq
    return Flaw(kind, found.node, seq, seq, last.place, f"record {seq}: {why}")
