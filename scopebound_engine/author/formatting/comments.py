"""The comments of a source, by the tokens they stand between."""

import re
from functools import cached_property
from typing import Final, NamedTuple

from scopebound_engine.rego.source.tokens import Source

_COMMENT: Final = re.compile(r"#[^\n]*")


class Comment(NamedTuple):
    """A comment, without blanks at its end, and its line, from 1."""

    text: str
    line: int


class Comments:
    """The comments of a source. A gap is named by the token after it, the last by their number."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @cached_property
    def _gaps(self) -> dict[int, list[Comment]]:
        source, end = self._source, 0
        gaps: dict[int, list[Comment]] = {}
        for index in range(len(source.tokens) + 1):
            last = index == len(source.tokens)
            start = len(source.text) if last else source.tokens[index].start
            gap = source.text[end:start]
            if "#" in gap:
                gaps[index] = [
                    Comment(found[0].rstrip(), source.place(end + found.start())[0])
                    for found in _COMMENT.finditer(gap)
                ]
            end = end if last else source.tokens[index].end
        return gaps

    def before(self, index: int) -> list[Comment]:
        """Those between a token and the one before it."""
        return self._gaps.get(index, [])

    def within(self, start: int, stop: int) -> bool:
        """Whether there is one in the gaps before these tokens."""
        return any(index in self._gaps for index in range(start, stop))

    def all(self) -> list[str]:
        """The texts of all, in order."""
        return [comment.text for gap in self._gaps.values() for comment in gap]
