"""Walks over tokens, with two facts of Rego's layout: brackets nest, and lines end expressions."""

from collections.abc import Iterator
from typing import Final

from scopebound_engine.rego.source.tokens import Source

_INFIX: Final = frozenset(
    {":=", "=", "==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%", "|", "&", ",", ".", ":"}
)
# A line that ends or begins with one of these words goes on, as one with an operator does.
_GOES_ON_AFTER: Final = (
    *("in", "as", "with", "not", "if", "some", "every", "else"),
    *("contains", "default", "import", "package"),
)
_GOES_ON_BEFORE: Final = ("in", "as", "with", "if", "else")
_KEYWORDS: Final = frozenset(
    (
        *("true", "false", "null", "input", "data", "in", "with", "as", "not", "some", "every"),
        *("if", "else", "default", "import", "package", "contains"),
    )
)


class Scanner:
    """Questions about the tokens of a source. Spans are ranges of their indices."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._tokens = source.tokens

    def is_keyword(self, index: int, *words: str) -> bool:
        """Whether a token is one of these keywords; after a dot it is only a name."""
        token = self._tokens[index]
        after_dot = index > 0 and self._tokens[index - 1].text == "."
        return token.kind == "name" and token.text in words and not after_dot

    def is_reserved(self, index: int) -> bool:
        """Whether a token is a word of the language, and no name."""
        return self.is_keyword(index, *_KEYWORDS)

    def names(self, span: range) -> Iterator[str]:
        """The names in these tokens that can be variables: not keywords, fields or functions."""
        for index in span:
            token = self._tokens[index]
            if token.kind != "name" or token.text in _KEYWORDS or token.text == "_":
                continue
            if index > 0 and self._tokens[index - 1].text == ".":
                continue
            if not self._is_called(index):
                yield token.text

    def text(self, span: range) -> str:
        """The source from the first to the last of these tokens."""
        if not span:
            return ""
        return self.source.text[self._tokens[span[0]].start : self._tokens[span[-1]].end]

    def _is_called(self, index: int) -> bool:
        """Whether a name begins that of a function: f(…) or a.b.f(…), with no blank before `(`."""
        tokens = self._tokens
        while index + 2 < len(tokens) and tokens[index + 1].text == ".":
            index += 2
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        return (
            following is not None and following.text == "(" and following.start == tokens[index].end
        )

    def split(self, span: range, separator: str) -> Iterator[range]:
        """The statements of a span: they end with their line, or at the separator."""
        start = index = span.start
        while index < span.stop:
            index = self.source.closing.get(index, index) + 1
            separated = index < span.stop and self._tokens[index].text == separator
            if index >= span.stop or separated or self.line_ends(index):
                if index > start:
                    yield range(start, min(index, span.stop))
                index += separated
                start = index

    def line_ends(self, index: int) -> bool:
        """Whether a statement ends before this token, because its line does."""
        before, after = self._tokens[index - 1], self._tokens[index]
        if not self.source.newline_between(index - 1, index):
            return False
        if before.text in _INFIX or self.is_keyword(index - 1, *_GOES_ON_AFTER):
            return False
        return not (after.text in _INFIX or self._goes_on_before(index))

    def _goes_on_before(self, index: int) -> bool:
        if self.is_keyword(index, "contains"):
            # Of a set's head, and not the built-in that begins a line of its own.
            return index + 1 < len(self._tokens) and self._tokens[index + 1].text != "("
        return self.is_keyword(index, *_GOES_ON_BEFORE)

    def find(self, span: range, *words: str) -> int | None:
        """The first of these words that is not inside of brackets."""
        index = span.start
        while index < span.stop:
            token = self._tokens[index]
            if token.text in words and (token.kind != "name" or self.is_keyword(index, *words)):
                return index
            index = self.source.closing.get(index, index) + 1
        return None
