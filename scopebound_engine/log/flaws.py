"""What is wrong with a log, and where."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "altered",
    "missing",
    "misplaced",
    "inserted",
    "damaged",
    "foreign",
    "rewritten",
    "truncated",
    "checkpoint",
]


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, from 1; 0 where only the file is known."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Flaw:
    """The first thing wrong with the records of a node, or with its checkpoints.

    `seq` is the number of the first bad record: the one that is not as it was, or that is missing
    at this place. Where it cannot be told more closely it is one of `seq` to `until`; of records
    that are missing, `until` is the last. Both are 0 for a checkpoint that is not believed.
    """

    kind: Kind
    node: str
    seq: int
    until: int
    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"
