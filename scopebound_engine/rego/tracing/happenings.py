"""An evaluation as a tree: rules that were asked, ways through their bodies, statements."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from scopebound_engine.rego.tracing.code import Function, Listing, Statement
from scopebound_engine.rego.tracing.values import Value


@dataclass(eq=False, slots=True)
class Happening:
    """One statement that was evaluated, what it read and what it gave.

    `run` is that of the rule it asked, also where the engine already knew the answer; `inside` are
    the goes through the lists inside of it.
    """

    statement: Statement
    reads: Sequence[Value]
    held: bool = True
    result: Value | None = None
    run: "Run | None" = None
    inside: list["Passage"] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Passage:
    """One go through a list of statements: to its end, or up to the one that failed."""

    listing: Listing
    happenings: list[Happening] = field(default_factory=list)

    @property
    def failed(self) -> Happening | None:
        """The statement that it ended at."""
        last = self.happenings[-1] if self.happenings else None
        return None if last is None or last.held else last


@dataclass(eq=False, slots=True)
class Run:
    """One evaluation of a rule or function; `result` is None where it is undefined."""

    function: Function
    arguments: Sequence[Value]
    passages: list[Passage] = field(default_factory=list)
    result: Value | None = None
