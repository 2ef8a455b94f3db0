"""The parts of an expression whose values say why it fails: its sides, references and variables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from scopebound_engine.rego.source.bodies import Literal, declared
from scopebound_engine.rego.testing.scopes import Scope

_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=", "=", "in")
_MOST: Final = 8
_LONGEST: Final = 60
_DOCUMENTS: Final = ("input", "data")


@dataclass(frozen=True, slots=True)
class Term:
    """A part of an expression: how it is called, and an expression that has its value."""

    text: str
    source: str


def terms(literal: Literal, scope: Scope) -> list[Term]:
    """The parts that can be asked for, each once: sides, then references, then overrides."""
    found = {term.text: term for term in _Terms(literal, scope).all()}
    return list(found.values())[:_MOST]


class _Terms:
    def __init__(self, literal: Literal, scope: Scope) -> None:
        self._literal, self._scope = literal, scope
        self._module = scope.module
        self._tokens = scope.module.source.tokens
        self._closing = scope.module.source.closing
        self._inner = declared(literal.bodies)

    def all(self) -> Iterator[Term]:
        core = self._core()
        overrides = self._module.text(range(self._literal.core_end, self._literal.end))
        for span in (*self._sides(core), *self._references(core)):
            text = self._module.text(span)
            yield Term(_short(text), f"{text} {overrides}")
        for override in self._literal.overrides:
            if self._tokens[override.target.start].text == "input":
                target, value = map(self._module.text, (override.target, override.value))
                yield Term(_short(target), value)

    def _core(self) -> range:
        """What the literal is about: of `every` the collection."""
        literal = self._literal
        if not self._module.is_keyword(literal.start, "every"):
            return range(literal.term, literal.core_end)
        found = self._module.find(range(literal.start, literal.core_end), "in")
        return range(literal.start if found is None else found + 1, literal.bodies[-1].start - 1)

    def _sides(self, core: range) -> Iterator[range]:
        """Both sides of a comparison, but for constants and what is a reference anyway."""
        middle = self._module.find(core, *_COMPARISONS)
        if middle is None:
            return
        for side in (range(core.start, middle), range(middle + 1, core.stop)):
            if side and self._has_names(side) and self._is_known(side):
                yield side

    def _references(self, core: range) -> Iterator[range]:
        """Calls, and variables and documents with the fields that are looked up in them."""
        hidden = {i for body in self._literal.bodies for i in range(body.start, body.end)}
        after = core.start
        for index in core:
            if index in hidden or not self._begins(index):
                continue
            span = self._chain(index, core.stop)
            opening = span.stop
            is_call = opening in self._closing and self._tokens[opening].text == "("
            if is_call and self._tokens[opening - 1].end == self._tokens[opening].start:
                span = range(index, self._closing[opening] + 1)
                if self._is_known(span):
                    yield span
            elif index >= after and self._is_document(span):
                yield span
                after = span.stop

    def _begins(self, index: int) -> bool:
        token = self._tokens[index]
        follows_dot = index > 0 and self._tokens[index - 1].text == "."
        if token.kind != "name" or token.text == "_" or follows_dot:
            return False
        return token.text in _DOCUMENTS or not self._module.is_reserved(index)

    def _chain(self, index: int, stop: int) -> range:
        """A name with what is looked up in it, as far as that is known before the expression."""
        end = index + 1
        while end < stop:
            token, before = self._tokens[end], self._tokens[end - 1]
            if token.text == "." and end + 1 < stop:
                end += 2
            elif token.text == "[" and token.start == before.end and end in self._closing:
                inside = range(end + 1, self._closing[end])
                if not self._is_known(inside):
                    break
                end = inside.stop + 1
            else:
                break
        return range(index, end)

    def _is_document(self, span: range) -> bool:
        """Whether a reference has a value of its own: it is no package, and no function."""
        root = self._tokens[span.start].text
        if root in self._inner or not (root in _DOCUMENTS or self._scope.has_value(root)):
            return False
        fields = [self._tokens[index].text for index in span[2::2]]
        path = self._scope.path(root, fields)
        if path[0] != "data":
            return True
        return not any(rule[: len(path) - 1] == path[1:] for rule in self._scope.packages)

    def _is_known(self, span: range) -> bool:
        """Whether all variables in these tokens have a value before the expression."""
        names = set(self._module.names(span)) - self._inner
        blank = any(self._tokens[index].text == "_" for index in span)
        return not blank and all(map(self._scope.has_value, names))

    def _has_names(self, span: range) -> bool:
        return any(self._begins(index) for index in span)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
