"""Journals of made-up records with their checkpoints, and everything that can be done to them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scopebound_engine import strict_json
from scopebound_engine.log import chain, checkpoints, segments
from scopebound_engine.log.checkpoints import Checkpoint, key_name
from scopebound_engine.log.notes import SignerKey

NODE = "0d3b4a52-9f0c-4a53-8a3a-1f0a4c7d9e11"
OTHER_NODE = "6f1f9d0e-0a45-4c7b-b9c7-2f1f6f7f0d55"


def signer(node: str = NODE) -> SignerKey:
    return SignerKey(key_name(node), Ed25519PrivateKey.generate())


KEY = signer()


def record(dice: random.Random) -> bytes:
    return strict_json.dumps(
        {
            "id": f"{dice.getrandbits(128):032x}",
            "event": dice.choice(["tool_call.allow", "tool_call.deny", "session.provisioned"]),
            "tool_name": dice.choice(["read_file", "sende_Überweisung", 'a "quoted" \\ name\n']),
            "input": {"params": {"amount": dice.randrange(10**6), "to": "x" * dice.randrange(60)}},
        }
    )


def chained(records: Sequence[bytes], node: str = NODE) -> list[bytes]:
    """The lines of these records, without newlines."""
    lines, prev = [], chain.GENESIS
    for seq, one in enumerate(records, 1):
        line = chain.compose(node, prev, seq, one)
        lines.append(line[:-1])
        prev = chain.digest(line)
    return lines


def sealed(lines: Sequence[bytes], size: int, key: SignerKey = KEY, node: str = NODE) -> bytes:
    """The checkpoint of the first `size` lines."""
    head = chain.digest(lines[size - 1]) if size else chain.GENESIS
    return checkpoints.signed(Checkpoint(node, size, head), key)


@dataclass
class Sample:
    """A journal as lines, each with the number that names its segment."""

    lines: list[bytes]
    places: list[int]
    sizes: list[int]
    notes: list[bytes]

    def write(self, folder: Path) -> None:
        """The lines as they are now, in their segments; the first is there even if it is empty."""
        for former in folder.glob("journal-*"):
            former.unlink()
        starts = sorted({1, *self.places})
        for start in starts:
            data = b"".join(
                line + b"\n"
                for line, place in zip(self.lines, self.places, strict=True)
                if place == start
            )
            end = b"" if start == starts[-1] else b"\n"
            segments.path(folder, start).write_bytes(data + end)
        (folder / checkpoints.FILE).write_bytes(b"".join(note + b"\n" for note in self.notes))

    def where(self, folder: Path, index: int) -> tuple[str, int]:
        """The file of a line and its number there, from 1."""
        start = self.places[index]
        return str(segments.path(folder, start)), index - self.places.index(start) + 1


def sample(dice: random.Random, many: int = 0) -> Sample:
    """Some records in up to four segments, with checkpoints now and then."""
    many = many or dice.randrange(6, 40)
    lines = chained([record(dice) for _ in range(many)])
    starts = sorted({1, *dice.sample(range(2, many + 1), dice.randrange(4))})
    places = [max(start for start in starts if start <= number) for number in range(1, many + 1)]
    sizes = sorted({0, *dice.sample(range(1, many + 1), dice.randrange(1, 6))})
    return Sample(lines, places, sizes, [sealed(lines, size) for size in sizes])


@dataclass(frozen=True)
class Expected:
    """The first bad record is one of `first` to `last`, and found as one of these kinds.

    Of a line that was put in, or a checkpoint, it is known where it stands: `index` among all.
    """

    kinds: set[str]
    first: int = 0
    last: int = 0
    index: int | None = None


def rechain(lines: list[bytes], start: int, end: int | None = None) -> None:
    """Give the lines from this index on the links and numbers that they should have."""
    prev = chain.digest(lines[start - 1]) if start else chain.GENESIS
    for index in range(start, len(lines) if end is None else end):
        link = chain.split(lines[index])
        lines[index] = chain.compose(NODE, prev, index + 1, link.record)[:-1]
        prev = chain.digest(lines[index])


def noticeable(dice: random.Random, journal: Sample) -> int:
    """A record of which something is known: it has a next one, or a checkpoint."""
    many = len(journal.lines)
    return dice.randrange(1, many + 1) if journal.sizes[-1] == many else dice.randrange(1, many)


def vouched(journal: Sample, number: int) -> tuple[int, int]:
    """What a checkpoint tells of this record: it is one of these two numbers or in between."""
    last = min(size for size in journal.sizes if size >= number)
    return max((size for size in journal.sizes if size < number), default=0) + 1, last


def altered(journal: Sample, number: int) -> Expected:
    """What is found when this record was altered and nothing else.

    Nothing tells an altered last record from an altered link of one that no checkpoint has.
    """
    many = len(journal.lines)
    if number == many:
        return Expected({"altered", "rewritten", "damaged"}, *vouched(journal, number))
    is_followed_well = number < many - 1 or journal.sizes[-1] == many
    return Expected({"altered", "damaged"}, number, number if is_followed_well else many)


def edit_record(dice: random.Random, journal: Sample) -> Expected:
    number = noticeable(dice, journal)
    link = chain.split(journal.lines[number - 1])
    journal.lines[number - 1] = chain.compose(NODE, link.prev, number, record(dice))[:-1]
    return altered(journal, number)


def edit_byte(dice: random.Random, journal: Sample) -> Expected:
    number = noticeable(dice, journal)
    line = bytearray(journal.lines[number - 1])
    at = dice.randrange(len(line))
    line[at] = dice.choice(sorted({0x20, 0x61, 0x39, 0x7D, 0xFF} - {line[at]}))
    journal.lines[number - 1] = bytes(line)
    if at < len(chain.compose(NODE, "0" * 64, number, b"")) - 2:
        return link_altered(journal, number)
    return altered(journal, number)


def edit_link(dice: random.Random, journal: Sample) -> Expected:
    number = noticeable(dice, journal)
    link = chain.split(journal.lines[number - 1])
    node, prev, seq = NODE, link.prev, number
    what = dice.choice(["node", "prev", "seq"])
    if what == "node":
        node = OTHER_NODE
    elif what == "prev":
        prev = f"{dice.getrandbits(256):064x}"
    else:
        seq = dice.choice([n for n in range(1, len(journal.lines) + 9) if n != number])
    journal.lines[number - 1] = chain.compose(node, prev, seq, link.record)[:-1]
    return link_altered(journal, number)


def link_altered(journal: Sample, number: int) -> Expected:
    kinds = {"altered", "damaged", "foreign", "inserted", "missing"}
    return Expected(kinds, number, number)


def delete(dice: random.Random, journal: Sample) -> Expected:
    many = len(journal.lines)
    first = dice.randrange(1, journal.sizes[-1] + 1)
    last = min(many, first + dice.choice([0, 0, 1, 5, 40]))
    del journal.lines[first - 1 : last]
    del journal.places[first - 1 : last]
    return Expected({"truncated"} if last == many else {"missing"}, first, first)


def cut(dice: random.Random, journal: Sample) -> Expected:
    first = dice.randrange(1, journal.sizes[-1] + 1)
    del journal.lines[first - 1 :]
    del journal.places[first - 1 :]
    if dice.random() < 0.5 and journal.lines:
        line = journal.lines[-1]
        journal.lines[-1] = line[: dice.randrange(1, len(line))]
        return Expected({"damaged"}, first - 1, first - 1)
    return Expected({"truncated"}, first, first)


def move(dice: random.Random, journal: Sample) -> Expected:
    one, other = sorted(dice.sample(range(len(journal.lines)), 2))
    how = dice.choice(["swap", "later", "earlier", "reverse"])
    lines = journal.lines
    if how == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    elif how == "later":
        lines.insert(other, lines.pop(one))
    elif how == "earlier":
        lines.insert(one, lines.pop(other))
    else:
        lines[one : other + 1] = reversed(lines[one : other + 1])
    return Expected({"misplaced"}, one + 1, one + 1)


def insert(dice: random.Random, journal: Sample) -> Expected:
    """A line at an index of its own: of another record, made up, of another node, or no line."""
    lines, at = journal.lines, dice.randrange(len(journal.lines))
    prev = chain.digest(lines[at - 1]) if at else chain.GENESIS
    made_up = chain.compose(NODE, prev, at + 1, record(dice))[:-1]
    what = dice.choice(["copy", "made up", "made up", "other", "nothing"])
    if what == "copy":
        line, index = dice.choice(lines[:at] + lines[at + 1 :]), at
    elif what == "made up":
        line, index = made_up, at
    elif what == "other":
        line, index = made_up.replace(NODE.encode(), OTHER_NODE.encode()), at
    else:
        line, index = dice.choice([b"# a comment", b"{}", made_up[:-1], b"\xff" * 9]), at
    lines.insert(at, line)
    journal.places.insert(at, journal.places[at])
    kinds = {"inserted"} if what != "other" else {"foreign"}
    return Expected(kinds, at + 1, at + 1, index)


def rewrite(dice: random.Random, journal: Sample) -> Expected:
    """From a record on, one is changed, left out or put in, and all behind it fits again."""
    at = dice.randrange(1, journal.sizes[-1] + 1)
    what = dice.choice(["change", "leave out", "put in"])
    lines = journal.lines
    if what == "change":
        link = chain.split(lines[at - 1])
        lines[at - 1] = chain.compose(NODE, link.prev, at, record(dice))[:-1]
    elif what == "put in":
        lines.insert(at - 1, chain.compose(NODE, chain.GENESIS, at, record(dice))[:-1])
        journal.places.append(journal.places[-1])
    else:
        del lines[at - 1]
        journal.places.pop()
    rechain(lines, at - 1)
    first, last = vouched(journal, at)
    if last > len(lines):
        return Expected({"truncated", "rewritten"}, first, last)
    return Expected({"rewritten"}, first, last)


def rewrite_all(dice: random.Random, journal: Sample) -> Expected:
    """Another journal, in which checkpoints of its own stand, signed by somebody else."""
    stranger = SignerKey(KEY.name, Ed25519PrivateKey.generate())
    journal.lines[:] = chained([record(dice) for _ in journal.lines])
    journal.notes[:] = [sealed(journal.lines, size, stranger) for size in journal.sizes]
    return Expected({"checkpoint"}, index=0)


def spoil_checkpoint(dice: random.Random, journal: Sample) -> Expected:
    """One is damaged, forged, or of another's making."""
    at = dice.randrange(len(journal.notes))
    what = dice.choice(["byte", "byte", "text", "stranger"])
    note = bytearray(journal.notes[at])
    if what == "byte":
        place = dice.choice([n for n, byte in enumerate(note) if byte != 0x0A])
        note[place] = dice.choice(sorted({0x20, 0x41, 0x35} - {note[place]}))
    elif what == "text":
        other = sealed(chained([record(dice) for _ in range(journal.sizes[at])]), journal.sizes[at])
        note[:] = other.partition(b"\n\n")[0] + bytes(note[note.index(b"\n\n") :])
        if journal.sizes[at] == 0:
            note[:] = note.replace(b"\n0\n", b"\n3\n", 1)
    else:
        stranger = SignerKey(KEY.name, Ed25519PrivateKey.generate())
        note[:] = sealed(journal.lines, journal.sizes[at], stranger)
    journal.notes[at] = bytes(note)
    return Expected({"checkpoint"}, index=at)


def swap_checkpoints(dice: random.Random, journal: Sample) -> Expected:
    one, other = sorted(dice.sample(range(len(journal.notes)), 2))
    notes = journal.notes
    notes[one], notes[other] = notes[other], notes[one]
    return Expected({"checkpoint"}, index=one + 1)


TAMPERINGS: Sequence[Callable[[random.Random, Sample], Expected]] = (
    edit_record,
    edit_byte,
    edit_link,
    delete,
    cut,
    move,
    insert,
    rewrite,
    rewrite_all,
    spoil_checkpoint,
    swap_checkpoints,
)
