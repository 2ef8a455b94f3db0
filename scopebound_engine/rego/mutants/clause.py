"""One clause of a rule as places where a fault can be put: its conditions, its constants."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from scopebound_engine.rego.source.bodies import Body, Literal, declared
from scopebound_engine.rego.source.syntax import Module, Rule
from scopebound_engine.rego.source.tokens import Token

# So much of a line before and after a fault tells it from others.
_CONTEXT: Final = 48


class Clause:
    """A rule of a module; `known` are the names that are no variables in it: rules, imports.

    All indices are those of the module's tokens.
    """

    def __init__(self, module: Module, rule: Rule, known: Collection[str]) -> None:
        self.module, self.rule = module, rule
        self._source, self.tokens = module.source, module.source.tokens
        self._known = {*known, *module.parameters(rule), *declared(rule.bodies)}

    @property
    def start(self) -> int:
        """The offset of its first character."""
        return self.tokens[self.rule.start].start

    @property
    def end(self) -> int:
        """The offset after its last character."""
        return self.tokens[self.rule.end - 1].end

    @property
    def name(self) -> Token:
        """The first part of its name."""
        return self.tokens[self.rule.start + self.rule.is_default]

    @property
    def text(self) -> str:
        """Its source."""
        return self._source.text[self.start : self.end]

    @property
    def closing(self) -> Mapping[int, int]:
        """The index of each closing bracket by that of the opening one."""
        return self._source.closing

    def words(self, span: range) -> str:
        """The source of some of its tokens."""
        return self.module.text(span)

    def around(self, span: range) -> tuple[str, str]:
        """What stands on their lines before and after some tokens, a long line cut short."""
        start, end = self.tokens[span[0]].start, self.tokens[span[-1]].end
        text = self._source.text
        stop = text.find("\n", end)
        before = text[text.rfind("\n", 0, start) + 1 : start].lstrip()
        after = text[end : stop if stop >= 0 else None].rstrip()
        if len(before) > _CONTEXT:
            before = "…" + before[-_CONTEXT:]
        if len(after) > _CONTEXT:
            after = after[:_CONTEXT] + "…"
        return before, after

    def unused(self, name: str) -> str:
        """A name like this one that stands for nothing in the clause, nor in its module."""
        taken = {token.text for token in self.tokens}
        while name in taken:
            name += "_"
        return name

    def line_before(self, offset: int) -> int:
        """Where the line before ends, if only blanks stand between; otherwise the offset."""
        start = self._source.text.rfind("\n", 0, offset)
        return offset if self._source.text[start + 1 : offset].strip() else start

    @cached_property
    def conditions(self) -> Sequence[tuple[Body, Literal]]:
        """Its expressions, at any depth, each with the query that it is a part of."""
        return list(_conditions(self.rule.bodies))

    @cached_property
    def branches(self) -> Sequence[range]:
        """What can hold in turn: the first is that of the head, the others begin with `else`."""
        found, start = [], self.rule.start
        while (stop := self.module.find(range(start + 1, self.rule.end), "else")) is not None:
            found.append(range(start, stop))
            start = stop
        return [*found, range(start, self.rule.end)]

    def binds(self, literal: Literal) -> bool:
        """Whether an expression may be what gives a variable its value."""
        names = self.module.names(range(literal.start, literal.end))
        return bool(literal.declares or literal.loose) or any(
            name not in self._known for name in names
        )

    @cached_property
    def constants(self) -> Sequence[int]:
        """The literals among its tokens, but for those that are a part of a name or pattern."""
        return [index for index in self._values if self._is_constant(index)]

    @cached_property
    def _values(self) -> Sequence[int]:
        """The tokens that are no part of its head's patterns or of what values are bound to."""
        first = self.rule.start + self.rule.is_default + 1
        has_parameters = first < self.rule.end and self.tokens[first].text == "("
        start = self.closing.get(first, first) if has_parameters else first
        bound: set[int] = set()
        for _, literal in self.conditions:
            unified = self.module.find(range(literal.start, literal.core_end), "=")
            if literal.binds or unified is not None:
                bound.update(range(literal.start, max(literal.term, unified or 0)))
        return [index for index in range(start, self.rule.end) if index not in bound]

    def _is_constant(self, index: int) -> bool:
        token = self.tokens[index]
        if token.kind in {"string", "raw", "number"}:
            return not (self._is_key(index) or self._is_step(index))
        return self.module.is_keyword(index, "true", "false")

    def _is_key(self, index: int) -> bool:
        """Whether it names a field of an object that is written here."""
        return index + 1 < self.rule.end and self.tokens[index + 1].text == ":"

    def _is_step(self, index: int) -> bool:
        """Whether it is a step of a path: a["b"]."""
        return self._is_reference(index - 1) and self.closing.get(index - 1) == index + 1

    def _is_reference(self, opening: int) -> bool:
        """Whether a square bracket looks something up rather than writing an array."""
        before, bracket = self.tokens[opening - 1], self.tokens[opening]
        after_value = before.kind == "name" or before.text in {"]", ")", "}"}
        return bracket.text == "[" and after_value and before.end == bracket.start

    @cached_property
    def collections(self) -> Sequence[tuple[int, Sequence[range]]]:
        """The arrays and sets that are written out, by their opening bracket, with elements."""
        return [
            (index, elements)
            for index in self._values
            if index in self.closing and self._is_collection(index)
            if (elements := list(self._elements(index)))
        ]

    def _is_collection(self, opening: int) -> bool:
        inside = range(opening + 1, self.closing[opening])
        if self.tokens[opening].text == "(" or self.module.find(inside, "|", ":") is not None:
            return False
        if self.tokens[opening].text == "[":
            return not (self._is_reference(opening) or self._is_filled_in(opening))
        return all(body.start != opening + 1 for body, _ in self.conditions)

    def _is_filled_in(self, opening: int) -> bool:
        """Whether these are the values of sprintf, as many as the format has places."""
        for index in range(self.rule.start, opening):
            if self.tokens[index].text == "sprintf" and self.tokens[index + 1].text == "(":
                close = self.closing.get(index + 1, index + 1)
                comma = self.module.find(range(index + 2, close), ",")
                if comma == opening - 1:
                    return True
        return False

    def _elements(self, opening: int) -> Iterator[range]:
        start = opening + 1
        close = self.closing[opening]
        while start < close:
            stop = self.module.find(range(start, close), ",") or close
            yield range(start, stop)
            start = stop + 1


def _conditions(bodies: Sequence[Body]) -> Iterator[tuple[Body, Literal]]:
    for body in bodies:
        for literal in body.literals:
            yield body, literal
            yield from _conditions(literal.bodies)
