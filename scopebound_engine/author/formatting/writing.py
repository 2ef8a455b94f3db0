"""Writes the statements of a module, with their comments, as lines."""

from collections.abc import Sequence
from typing import Final

from scopebound_engine.author.formatting import statements
from scopebound_engine.author.formatting.layout import Lines, laid_out
from scopebound_engine.author.formatting.places import Comment, Places
from scopebound_engine.rego.source.spacing import CLOSING, is_spaced
from scopebound_engine.rego.source.syntax import Module

_INDENT: Final = "\t"


def written(module: Module) -> str:
    """The module in OPA's style."""
    places = Places(module.source)
    writer = _Writer(module, places, laid_out(module, places))
    writer.write()
    return "".join(f"{line}\n" for line in writer.page.lines)


class _Page:
    """Lines, and the words of the last one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._words: list[str] = []

    def begin(self, level: int, text: str = "") -> None:
        self.lines.append(_INDENT * level + text)
        self._words = []

    def word(self, text: str, *, padded: bool = False) -> None:
        self._words.append(text)
        blank = len(self._words) > 1 and is_spaced(self._words, len(self._words) - 1)
        self.lines[-1] += (" " if blank or padded else "") + text

    def comment(self, text: str) -> None:
        self.lines[-1] += f" {text}"

    def apart(self) -> None:
        """An empty line follows."""
        if self.lines and self.lines[-1]:
            self.lines.append("")


class _Writer:
    def __init__(self, module: Module, places: Places, lines: Lines) -> None:
        self.page = _Page()
        self._module, self._places, self._lines = module, places, lines
        self._tokens = module.source.tokens
        self._level = 0

    def write(self) -> None:
        """All statements, and the comments at the end."""
        previous: range | None = None
        for group in statements.groups(self._module, self._places):
            if not (previous and self._are_close(previous, group[0])):
                self.page.apart()
            self._leading(group[0].start)
            # The engine does not parse an import on the line after one with a comment beside it.
            moves = not any(self._places.beside(span) for span in group)
            for span in statements.in_order(self._module, group) if moves else group:
                self._statement(span)
            previous = group[-1]
        self.page.apart()
        self._leading(len(self._tokens))
        while self.page.lines and not self.page.lines[-1]:
            self.page.lines.pop()

    def _are_close(self, one: range, other: range) -> bool:
        """Whether two rules stay on lines that follow each other: short ones, if they were."""
        return (
            statements.is_short(self._module, one)
            and statements.is_short(self._module, other)
            and not any(index in self._lines.begins for index in one)
            and self._places.below(one.start, other.start) == 1
        )

    def _leading(self, index: int) -> None:
        """The comments above a statement; one beside the statement before it is not among them."""
        beside = self._places.beside(range(index - 1, index)) if index > 0 else ()
        self._above(self._places.comments(index)[len(beside) :], 0, index)

    def _statement(self, span: range) -> None:
        self.page.begin(0)
        self._level = 0
        last, waiting = span.start, list[Comment]()
        for index in span:
            waiting += self._places.comments(index) if index > span.start else ()
            if index in self._lines.dropped:
                continue
            if waiting or index in self._lines.begins:
                self._turn(last, index, waiting)
                waiting = []
            self._word(index)
            last = index
        for comment in self._places.beside(span):
            self.page.comment(comment.text)

    def _word(self, index: int) -> None:
        self.page.word(self._tokens[index].text, padded=index in self._lines.padded)
        if index in self._lines.after:
            self.page.word(self._lines.after[index])

    def _turn(self, last: int, index: int, comments: Sequence[Comment]) -> None:
        """Ends a line, and begins that of a token; where only a comment ends it, further in."""
        if comments and comments[0].line == self._places.end(last):
            self.page.comment(comments[0].text)
            comments = comments[1:]
        begins = self._lines.begins.get(index)
        if index in self._lines.apart:
            self.page.apart()
        level = self._level + 1 if begins is None else begins
        closes = begins is not None and self._tokens[index].text in CLOSING
        self._above(comments, level + closes, index)
        self.page.begin(level)
        self._level = self._level if begins is None else begins

    def _above(self, comments: Sequence[Comment], level: int, index: int) -> None:
        """Comments on lines of their own above a token, as far apart as they are."""
        for number, comment in enumerate(comments):
            if number and comment.line - comments[number - 1].line > 1:
                self.page.apart()
            self.page.begin(level, comment.text)
        is_end = index == len(self._tokens)
        if comments and not is_end and self._places.begin(index) - comments[-1].line > 1:
            self.page.apart()
