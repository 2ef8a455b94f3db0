"""Rego source in one layout: what its rules say, apart from how they are written.

Comments, blanks and line breaks are left out, and commas and semicolons that end nothing; a line
that ends an expression counts as a semicolon. METADATA is a comment like any other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from scopebound_engine.rego.source.spacing import CLOSING, OPENING, ends_value, is_spaced
from scopebound_engine.rego.source.syntax import Module

_SEPARATOR: Final = ";"
_WIDEST: Final = 80
_INDENT: Final = "    "
_TOP: Final = -1


@dataclass(frozen=True, slots=True)
class Definition:
    """One of the bodies that make a rule, or its default. `line` is where it begins.

    `tokens` are its own, and before them those of the imports it uses: two definitions of a package
    with the same tokens mean the same.
    """

    name: str
    line: int
    tokens: tuple[str, ...]


def definitions(module: Module) -> Iterator[Definition]:
    """The definitions of a module, in order. An import that none of them uses means nothing."""
    tokens = module.source.tokens
    aliases = _aliases(module)
    for head in module.heads:
        span = range(head.start, head.end)
        used = {tokens[i].text for i in span if i == head.start or tokens[i - 1].text != "."}
        parts: list[str] = []
        for alias in sorted(used & aliases.keys()):
            parts += [*aliases[alias], _SEPARATOR]
        line, _ = module.source.place(tokens[head.start].start)
        yield Definition(
            _name(module, head.start + head.is_default),
            line,
            (*parts, *_normal(module, span)),
        )


def statements(module: Module) -> list[tuple[str, ...]]:
    """All statements of a module as tokens, in order: two modules that have the same are alike."""
    return [_normal(module, span) for span in module.statements]


def package(module: Module) -> str:
    """The path after `package`, as it is written but for blanks; empty where there is none."""
    return next(("".join(words[1:]) for words in _clauses(module, "package")), "")


def layout(tokens: Sequence[str]) -> list[str]:
    """The tokens of a definition as lines of Rego; the same tokens give the same lines."""
    return "\n".join(_Layout(tokens).lines()).split("\n")


def _aliases(module: Module) -> Mapping[str, tuple[str, ...]]:
    """The imports of values, as tokens, by the name they go by in the module."""
    found = {}
    for words in _clauses(module, "import"):
        if words[1:2] in (("input",), ("data",)):
            # The last name, which may be in brackets: import data.a["b"] is b.
            alias = next(word for word in reversed(words) if word not in CLOSING)
            found[alias.strip('"`')] = words
    return found


def _clauses(module: Module, keyword: str) -> Iterator[tuple[str, ...]]:
    for span in module.statements:
        if module.source.tokens[span.start].text == keyword:
            yield _normal(module, span)


def _name(module: Module, index: int) -> str:
    tokens = module.source.tokens
    parts = [tokens[index].text] if index < len(tokens) else []
    for dot, name in zip(tokens[index + 1 :: 2], tokens[index + 2 :: 2], strict=False):
        if dot.text != "." or name.kind != "name":
            break
        parts.append(name.text)
    return ".".join(parts)


def _normal(module: Module, span: range) -> tuple[str, ...]:
    found: list[str] = []
    for index in span:
        text = module.source.tokens[index].text
        ends = text == _SEPARATOR or (index > span.start and module.line_ends(index))
        if ends and found and found[-1] not in OPENING | {_SEPARATOR}:
            found.append(_SEPARATOR)
        if text in CLOSING and found and found[-1] in {_SEPARATOR, ","}:
            found.pop()
        if text != _SEPARATOR:
            found.append(text)
    return tuple(found)


class _Layout:
    """Bodies, and brackets that would be too wide, stand over several lines, the rest on one."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._closing = _pairs(tokens)
        self._around = _around(tokens, self._closing)
        self._offsets = list(accumulate((len(text) + 1 for text in tokens), initial=0))
        self._broken = {index for index in self._closing if self._is_broken(index)}
        self._broken_ends = {self._closing[index] for index in self._broken}

    def lines(self) -> Iterator[str]:
        """The lines; that of a raw string may hold line breaks of its own."""
        line = ""
        for index, text in enumerate(self._tokens):
            if line and self._breaks_before(index):
                yield line
                line = ""
            if text != _SEPARATOR:
                blank = " " if line and is_spaced(self._tokens, index) else ""
                line = line + blank + text if line else self._indent(index) + text
            elif not self._is_over_lines(self._around[index]):
                line += text
        if line:
            yield line

    def _is_broken(self, opening: int) -> bool:
        width = self._offsets[self._closing[opening]] - self._offsets[opening]
        return width > _WIDEST or self._is_body(opening)

    def _is_body(self, opening: int) -> bool:
        if self._tokens[opening] != "{" or opening == 0:
            return False
        before = self._tokens[opening - 1]
        return before in {"if", "else"} or ends_value(self._tokens, opening - 1)

    def _is_over_lines(self, opening: int) -> bool:
        return opening == _TOP or opening in self._broken

    def _breaks_before(self, index: int) -> bool:
        ended = self._tokens[index - 1] in {_SEPARATOR, ",", "|"}
        return (
            index - 1 in self._broken
            or index in self._broken_ends
            or (ended and self._is_over_lines(self._around[index - 1]))
        )

    def _indent(self, index: int) -> str:
        depth, opening = 0, self._around[index]
        while opening != _TOP:
            depth += opening in self._broken
            opening = self._around[opening]
        return _INDENT * depth


def _pairs(tokens: Sequence[str]) -> dict[int, int]:
    """The index of the closing bracket by that of the opening one."""
    pairs: dict[int, int] = {}
    waiting: list[int] = []
    for index, text in enumerate(tokens):
        if text in OPENING:
            waiting.append(index)
        elif text in CLOSING and waiting:
            pairs[waiting.pop()] = index
    return pairs


def _around(tokens: Sequence[str], closing: Mapping[int, int]) -> list[int]:
    """The opening bracket around each token; for one that is a bracket, around its pair."""
    found: list[int] = []
    waiting = [_TOP]
    for index in range(len(tokens)):
        if index == closing.get(waiting[-1]):
            waiting.pop()
        found.append(waiting[-1])
        if index in closing:
            waiting.append(index)
    return found
