"""Rego source as tokens: what a rewriter and the source checks need, no grammar.

Lexical rules after https://www.openpolicyagent.org/docs/policy-language and OPA's scanner: `#` to
the end of the line, "…" with backslash escapes on one line, `…` raw and over several lines.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import Final, Literal, NamedTuple

Kind = Literal["name", "string", "raw", "number", "punctuation", "stray"]

_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t\r\n]+|\#[^\n]*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<raw>`[^`]*`)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<punctuation>:=|==|!=|<=|>=|[-+*/%&|<>=()\[\]{},.:;])
      | (?P<stray>.)""",
    re.VERBOSE | re.ASCII,
)
OPENING: Final = {"(": ")", "[": "]", "{": "}"}


class Token(NamedTuple):
    """A piece of source; `start` and `end` are offsets of characters."""

    kind: Kind
    text: str
    start: int
    end: int


class Source:
    """One file's text, its tokens without blanks and comments, and its places."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    @cached_property
    def tokens(self) -> Sequence[Token]:
        """All tokens; a character that starts none is a token of kind "stray"."""
        return [
            Token(match.lastgroup, match[0], *match.span())  # type: ignore[arg-type]
            for match in _TOKEN.finditer(self.text)
            if match.lastgroup != "blank"
        ]

    @cached_property
    def closing(self) -> dict[int, int]:
        """The index of the closing bracket's token by that of the opening one, where they pair."""
        pairs: dict[int, int] = {}
        waiting: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.kind != "punctuation":
                continue
            if token.text in OPENING:
                waiting.append(index)
            elif waiting and token.text == OPENING[self.tokens[waiting[-1]].text]:
                pairs[waiting.pop()] = index
        return pairs

    @cached_property
    def package(self) -> tuple[str, ...]:
        """The declared package as a path; empty where there is none of the form a.b.c."""
        tokens = self.tokens
        if len(tokens) < 2 or tokens[0].text != "package":
            return ()
        parts = [tokens[1].text]
        for dot, name in zip(tokens[2::2], tokens[3::2], strict=False):
            if dot.text != "." or name.kind != "name":
                break
            parts.append(name.text)
        return tuple(parts)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def column_of_byte(self, line: int, offset: int) -> int:
        """The column, from 1, of a byte of a line; both arguments from 0 as plans have them."""
        row = self.line(line + 1).encode()[:offset]
        return len(row.decode("utf-8", "replace")) + 1

    def line(self, number: int) -> str:
        """The text of a line, without its end; "" where there is none."""
        if not 1 <= number <= len(self._line_starts):
            return ""
        start, *following = self._line_starts[number - 1 : number + 1]
        return self.text[start : following[0] if following else None].rstrip("\r\n")

    def newline_between(self, first: int, second: int) -> bool:
        """Whether two neighbouring tokens stand on different lines."""
        tokens = self.tokens
        return self.place(tokens[first].end - 1)[0] != self.place(tokens[second].start)[0]
