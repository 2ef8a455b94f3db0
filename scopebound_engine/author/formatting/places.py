"""Which lines the tokens of a source stand on, and the comments between them."""

import re
from functools import cached_property
from typing import Final, NamedTuple

from scopebound_engine.rego.source.tokens import Source

_COMMENT: Final = re.compile(r"#[^\n]*")


class Comment(NamedTuple):
    """A comment, without blanks at its end, and its line, from 1."""

    text: str
    line: int


class Places:
    """Lines are counted from 1. A gap is named by the token after it, the last by their number."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @cached_property
    def _lines(self) -> list[tuple[int, int]]:
        place = self._source.place
        return [(place(token.start)[0], place(token.end - 1)[0]) for token in self._source.tokens]

    @cached_property
    def _gaps(self) -> dict[int, list[Comment]]:
        source, end = self._source, 0
        gaps: dict[int, list[Comment]] = {}
        starts = [*(token.start for token in source.tokens), len(source.text)]
        for index, start in enumerate(starts):
            if "#" in source.text[end:start]:
                gaps[index] = [
                    Comment(found[0].rstrip(), source.place(found.start())[0])
                    for found in _COMMENT.finditer(source.text, end, start)
                ]
            end = source.tokens[index].end if index < len(source.tokens) else start
        return gaps

    def begin(self, index: int) -> int:
        """The line that a token begins on."""
        return self._lines[index][0]

    def end(self, index: int) -> int:
        """The line that a token ends on, which is another one for some raw strings."""
        return self._lines[index][1]

    def below(self, earlier: int, later: int) -> int:
        """How many lines later a token begins than another does."""
        return self.begin(later) - self.begin(earlier)

    def between(self, earlier: int, later: int) -> int:
        """How many lines later a token begins than another ends."""
        return self.begin(later) - self.end(earlier)

    def comments(self, gap: int) -> list[Comment]:
        """Those between a token and the one before it."""
        return self._gaps.get(gap, [])

    def beside(self, span: range) -> list[Comment]:
        """The comment on the last line of these tokens, if there is one after them."""
        gap = self.comments(span.stop)
        return gap[:1] if gap and gap[0].line == self.end(span.stop - 1) else []

    def all_comments(self) -> list[str]:
        """The texts of all comments, in order."""
        return [comment.text for gap in self._gaps.values() for comment in gap]
