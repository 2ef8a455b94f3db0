"""A text that a pattern matches, as short and plain as can be.

The pattern's syntax is RE2's, whose common part is read here: literals, classes, groups, choices
and repetitions. What comes out is a guess for RE2 to confirm; nothing else is offered.
"""

import re
from collections.abc import Iterator
from typing import Final

from scopebound_engine.errors import InputError
from scopebound_engine.matching.patterns import PIECE, compile_pattern, split_lookahead

_CLASSES: Final = {"d": "1", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a", "n": "\n", "t": "\t"}
_CANDIDATES: Final = "a1A0_-. bBxXzZ9@/:"
_MOST: Final = 8


def matching(pattern: str) -> list[str]:
    """Some texts that RE2 confirms; empty where none is found."""
    try:
        compiled = compile_pattern(pattern)
    except InputError:
        return []
    _, rest = split_lookahead(pattern)
    guesses = dict.fromkeys(_Reader(rest).guesses())
    return [guess for guess in guesses if guess and compiled.found_in(guess.encode("utf-8"))]


class _Reader:
    """Reads a pattern piece by piece; what it does not know it leaves out."""

    def __init__(self, pattern: str) -> None:
        self._pieces = [match[0] for match in PIECE.finditer(pattern)]
        self._at = 0

    def guesses(self) -> Iterator[str]:
        """A guess for each choice at the top."""
        yield from self._choices()[:_MOST]

    def _choices(self) -> list[str]:
        """The texts of a group's alternatives, up to its end."""
        texts, parts = [], list[str]()
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if piece == ")":
                break
            if piece == "|":
                texts.append("".join(parts))
                parts = []
            else:
                parts.append(self._repeated(self._one(piece)))
        return [*texts, "".join(parts)]

    def _one(self, piece: str) -> str:
        if piece.startswith("(?") and piece.endswith(")"):
            return ""
        if piece.startswith("("):
            return next(iter(self._choices()), "")
        if piece.startswith("["):
            return _of_class(piece)
        if piece.startswith("\\"):
            return _escaped(piece)
        return "" if piece in ("^", "$") else "a" if piece == "." else piece

    def _repeated(self, text: str) -> str:
        if self._at == len(self._pieces):
            return text
        piece = self._pieces[self._at].removesuffix("?") or "?"
        counted = re.fullmatch(r"\{(\d+)(?:,\d*)?\}", piece)
        if counted or piece in ("*", "+", "?"):
            self._at += 1
            return text * int(counted[1]) if counted else text
        return text


def _of_class(piece: str) -> str:
    """A character of a class, asked of RE2 itself."""
    try:
        compiled = compile_pattern(f"^{piece}$")
    except InputError:
        return ""
    own = [char for char in piece[1:-1] if char not in "^\\[]-"]
    tried = (*_CANDIDATES, *own, *map(chr, range(32, 127)))
    return next((char for char in tried if compiled.found_in(char.encode("utf-8"))), "")


def _escaped(piece: str) -> str:
    if piece.startswith("\\Q"):
        return piece[2:].removesuffix("\\E")
    following = piece[1:]
    if following in "AzbB":
        return ""
    return _CLASSES.get(following, following)
