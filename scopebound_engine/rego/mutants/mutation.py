"""One small fault in the source of a rule, as a change of its text.

A mutant is what an author could have written: the compiler reads its text like any other, so that
what is shown is what was tried.
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "condition dropped",
    "negation dropped",
    "absence overlooked",
    "check weakened",
    "comparison shifted",
    "comparison blurred",
    "operator changed",
    "number changed",
    "text changed",
    "boolean changed",
    "element dropped",
    "clause deleted",
    "branch deleted",
    "default dropped",
]

# So much of a clause says which one is meant.
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class Edit:
    """The text from one offset of characters to another is replaced."""

    kind: Kind
    start: int
    end: int
    text: str
    # The same in words, of one line: what becomes of what.
    words: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """An edit of a file, in the clause at `clause`, an index among the file's rules.

    `rule` is its full name, `data.<package>.<rule>`; `line` and `last_line`, from 1, are those of
    what is changed. `words` are unique among the mutations of one rule in one file, and stay the
    same where lines move.
    """

    file: str
    rule: str
    clause: int
    line: int
    last_line: int
    kind: Kind
    start: int
    end: int
    text: str
    words: str

    @property
    def path(self) -> tuple[str, ...]:
        """The package and name of the rule."""
        return tuple(self.rule.split(".")[1:])

    def applied(self, source: str, offset: int = 0) -> str:
        """The text of the file, or of a part that begins at `offset`, with the fault in it."""
        return source[: self.start - offset] + self.text + source[self.end - offset :]


@dataclass(frozen=True, slots=True)
class Test:
    """A test that mutants are shown to; `name` is the full path of its rule."""

    __test__ = False  # pytest collects classes that are named like tests

    name: str
    file: str
    line: int


def brief(text: str) -> str:
    """A piece of source on one line, its end left out where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1].rstrip() + "…"
