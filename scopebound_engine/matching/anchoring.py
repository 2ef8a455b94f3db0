"""Whether a pattern has to match the whole value, and what it lets through where it does not.

A pattern matches anywhere in a value, so one that is not anchored at both ends promises less than
its author may think. It is accepted, and these warnings tell.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Protocol

from scopebound_engine.errors import InputError
from scopebound_engine.matching.patterns import PIECE, compile_pattern, split_lookahead

_FLAGS: Final = re.compile(r"\(\?([imsU]*)(?:-([imsU]*))?[:)]")


class ConstraintLike(Protocol):
    """What the warnings read of a role's constraint."""

    @property
    def field(self) -> str: ...  # noqa: D102
    @property
    def operator(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> Any: ...  # noqa: D102


class Edges(NamedTuple):
    """Whether every match has to begin where the text begins, and to end where it ends."""

    start: bool
    end: bool


_FREE: Final = Edges(start=False, end=False)


class _Group:
    """One open group: the alternatives that are complete, and the parts of the current one."""

    def __init__(self, multiline: bool) -> None:
        self.multiline = multiline
        self._alternatives: list[Edges] = []
        self.parts: list[Edges] = []

    def next_alternative(self) -> None:
        self._alternatives.append(
            Edges(any(part.start for part in self.parts), any(part.end for part in self.parts))
        )
        self.parts = []

    def edges(self) -> Edges:
        self.next_alternative()
        return Edges(
            all(each.start for each in self._alternatives),
            all(each.end for each in self._alternatives),
        )

    def anchor(self, piece: str) -> Edges:
        start = piece == "\\A" or (piece == "^" and not self.multiline)
        end = piece == "\\z" or (piece == "$" and not self.multiline)
        return Edges(start, end)

    def multiline_after(self, piece: str) -> bool:
        flags = _FLAGS.match(piece)
        on = flags is not None and "m" in flags[1]
        off = flags is not None and "m" in (flags[2] or "")
        return (self.multiline or on) and not off


def anchored(text: str) -> Edges:
    """At which ends a pattern that RE2 accepts is anchored, judged on its structure.

    A part that cannot be left out ties the match to an end wherever it stands; of alternatives all
    have to. `^a|b$` is tied to neither, `^(a|b)$` to both, `(?m)^a$` to neither.
    """
    ahead, rest = split_lookahead(text)
    stack = [_Group(multiline=False)]
    for piece in PIECE.findall(rest):
        group = stack[-1]
        if piece.startswith("(?") and piece.endswith(")"):
            group.multiline = group.multiline_after(piece)
        elif piece.startswith("("):
            stack.append(_Group(group.multiline_after(piece)))
        elif piece == ")":
            edges = stack.pop().edges()
            stack[-1].parts.append(edges)
        elif piece == "|":
            group.next_alternative()
        elif piece[0] in "*?" or piece.startswith("{0"):
            group.parts[-1:] = [_FREE]
        else:
            group.parts.append(group.anchor(piece))
    edges = stack.pop().edges()
    return edges if ahead is None else Edges(True, edges.end)


def warnings_for(constraints: Iterable[ConstraintLike]) -> list[str]:
    """What the patterns on one tool's arguments let through or refuse against expectation."""
    patterns: dict[str, dict[str, None]] = {}
    for constraint in constraints:
        if constraint.operator == "regex":
            patterns.setdefault(constraint.field, {})[constraint.value] = None
    found = []
    for name, texts in patterns.items():
        found += [f"{name}: {sentence}" for text in texts for sentence in _warnings(text)]
        if len(texts) > 1:
            found.append(
                f"{name}: the {len(texts)} patterns on this field have to match all at once; where"
                ' one of them is enough, write a single one: "^(?:A|B)$"'
            )
    return found


def _warnings(text: str) -> list[str]:
    ahead, rest = split_lookahead(text)
    edges = anchored(text)
    found = []
    if not all(edges):
        sides = [side for side, tied in (("before", edges.start), ("after", edges.end)) if not tied]
        found.append(
            f'the pattern "{text}" lets through any value that has something more'
            f" {' or '.join(sides)} what it matches, line breaks too; to match the whole value"
            f' write "{_whole(ahead, rest, edges)}"'
        )
    if ahead is not None and not anchored(ahead).end:
        found.append(
            f'the pattern "{text}" also refuses longer values that only begin with what'
            f' (?!{ahead}) names; to refuse just those begin it with "^(?!(?:{ahead})$)"'
        )
    return found


def _whole(ahead: str | None, rest: str, edges: Edges) -> str:
    """The pattern with the anchors that it lacks."""
    body = f"(?:{rest})" if "|" in rest or "(?" in rest else rest or ".*"
    head = "" if ahead is None else f"^(?!{ahead})"
    whole = head + ("" if edges.start else "^") + body + ("" if edges.end else "$")
    try:
        compile_pattern(whole)
    except InputError:
        return "^(?:…)$"
    return whole if all(anchored(whole)) else "^(?:…)$"
