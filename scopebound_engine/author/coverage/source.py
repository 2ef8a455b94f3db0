"""Source as HTML, each part coloured by what tests made of it, with a sign beside each line.

The source is foreign text: all of it is escaped, and characters that show as nothing, or reorder
others, are spelled out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final

from scopebound_engine.author.coverage.cover import FileCover
from scopebound_engine.rego.coverage.records import ClauseCover, ExpressionCover

# What a part can be, the worst first, with the sign of a line and what it says.
STATES: Final = {
    "missed": ("✗", "not covered"),
    "untrue": ("◐", "never true"),
    "unfalse": ("◑", "never false"),
    "hit": ("✓", "covered"),
}
_PARTLY: Final = ("◔", "covered in part")
_WORST_FIRST: Final = list(STATES)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the source, from its first character to before the last column, from 1."""

    line: int
    column: int
    last_line: int
    last_column: int
    state: str
    title: str


def visible(text: str) -> str:
    """Foreign text as HTML."""
    return escape("".join(c if c.isprintable() or c == "\t" else _spelled(c) for c in text))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def source(file: FileCover, text: str, anchor: str) -> Iterator[str]:
    """The lines of a file, each with the anchor `<anchor>l<number>`."""
    by_line: dict[int, list[_Part]] = {}
    for part in (*map(_clause, file.clauses), *map(_expression, file.expressions)):
        for number in range(part.line, part.last_line + 1):
            by_line.setdefault(number, []).append(part)
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        parts = _shown(number, line, by_line.get(number, []))
        states = {part.state for part in parts if part}
        sign, says = _sign(states, counts=file.by_line.get(number))
        yield (
            f'<span class="line" id="{anchor}l{number}">'
            f'<span class="number">{number}</span>'
            f'<span class="sign" aria-hidden="true">{sign}</span>'
            f'<span class="said"> {says} </span>'
            f"{_marked(line, parts)}\n</span>"
        )


def _sign(states: set[str], *, counts: bool | None) -> tuple[str, str]:
    """The sign of a line of parts in these states; `counts` is None, or whether it is covered."""
    if not states:
        return " ", ""
    worst = min(states, key=_WORST_FIRST.index)
    if counts is False:
        return STATES["missed"]
    return _PARTLY if counts and worst == "missed" else STATES[worst]


def _shown(number: int, line: str, parts: list[_Part]) -> list[_Part | None]:
    """The part that each character of a line belongs to: of those around it the innermost."""
    shown: list[_Part | None] = [None] * len(line)
    # Outer parts come first.
    for part in parts:
        first = part.column - 1 if number == part.line else len(line) - len(line.lstrip())
        end = part.last_column - 1 if number == part.last_line else len(line.rstrip())
        shown[first:end] = [part] * len(shown[first:end])
    return shown


def _marked(line: str, parts: list[_Part | None]) -> str:
    marked = ""
    for part, characters in groupby(zip(line, parts, strict=True), key=lambda pair: pair[1]):
        text = visible("".join(character for character, _ in characters))
        marked += f'<span class="{part.state}" title="{part.title}">{text}</span>' if part else text
    return marked


def _clause(item: ClauseCover) -> _Part:
    state, title = "missed", "no test came here"
    if item.is_held:
        state, title = "hit", "held in a test"
    elif item.is_entered:
        state, title = "untrue", "never held: its body was never true"
    return _Part(item.line, item.column, item.last_line, item.last_column, state, title)


def _expression(item: ExpressionCover) -> _Part:
    state, title = "hit", "true in a test" + (", false in a test" if item.is_condition else "")
    if not item.is_evaluated:
        state, title = "missed", "never evaluated"
    elif not item.is_told:
        title = "evaluated"
    elif not item.is_true:
        state, title = "untrue", "evaluated, never true"
    elif item.is_condition and not item.is_false:
        state, title = "unfalse", "evaluated, never false"
    return _Part(item.line, item.column, item.last_line, item.last_column, state, title)
