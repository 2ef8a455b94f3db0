"""What is told of the coverage of a policy, as flat values that a child hands to its parent."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExpressionCover:
    """An expression of a file, from its first character to before `last_column`, all from 1.

    `is_told` is False where the compiled plan does not tell it from others: whether it was
    evaluated is then concluded from those beside it, and not known how it came out.
    """

    file: str
    line: int
    column: int
    last_line: int
    last_column: int
    text: str
    is_condition: bool
    is_told: bool
    is_evaluated: bool
    is_true: bool
    is_false: bool


@dataclass(frozen=True, slots=True)
class ClauseCover:
    """A clause of a rule: its head, or that of an `else`, at these places.

    It is entered where it held, one of its expressions was evaluated, or it has none and was tried.
    """

    file: str
    line: int
    column: int
    last_line: int
    last_column: int
    rule: str
    is_entered: bool
    is_held: bool


@dataclass(frozen=True, slots=True)
class TestCover:
    """A test that was run; `outcome` is "passed", "failed" or "error"."""

    __test__ = False  # pytest collects classes that are named like tests

    name: str
    file: str
    line: int
    outcome: str
    message: str
