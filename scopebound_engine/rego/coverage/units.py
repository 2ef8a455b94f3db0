"""What coverage counts, read off the source: clauses of rules, and the expressions in them.

A clause is a rule's head with its body, or an `else` with its own; an expression is a literal of a
body, of a comprehension's or of `every`'s. `some x` alone is none: nothing is evaluated.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from scopebound_engine.rego.source.bodies import Body, Literal
from scopebound_engine.rego.source.syntax import Module, Rule, parsed

# Line and column of a character, both from 1.
Position = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Expression:
    """An expression from its first character to before `end`.

    `opening` is where the engine may say it begins: `if` where no brace follows. `is_condition`
    tells what is there to be true or false from what gives variables their values.
    """

    file: str
    start: Position
    end: Position
    opening: Position
    text: str
    is_condition: bool
    parent: "Expression | None"

    def is_within(self, other: "Expression | None") -> bool:
        """Whether it stands inside of another one; all do of none."""
        if other is None:
            return True
        around = self.parent
        while around is not None and around is not other:
            around = around.parent
        return around is other


@dataclass(frozen=True, eq=False)
class Clause:
    """A head and all expressions after it; `head_end` is where the head ends.

    `rule` is the full path of the rule, `part` counts its `else`, from 0 for the rule itself.
    """

    file: str
    start: Position
    head_end: Position
    end: Position
    rule: tuple[str, ...]
    part: int
    is_default: bool
    expressions: tuple[Expression, ...]


class Units:
    """The clauses of modules, by path, in order; files in `ignored` have none."""

    def __init__(self, modules: Mapping[str, str], ignored: Collection[str] = ()) -> None:
        read = {path: parsed(path, text) for path, text in modules.items() if path not in ignored}
        self.clauses = [
            clause
            for path, module in read.items()
            for rule in module.rules
            for clause in _Reader(path, module, rule).clauses()
        ]
        self.expressions = [item for clause in self.clauses for item in clause.expressions]
        self._expressions: dict[str, list[Expression]] = {}
        for expression in sorted(self.expressions, key=lambda item: item.opening):
            self._expressions.setdefault(expression.file, []).append(expression)
        self._clauses: dict[str, list[Clause]] = {}
        for clause in self.clauses:
            self._clauses.setdefault(clause.file, []).append(clause)

    def expression(self, file: str, position: Position) -> Expression | None:
        """The innermost expression at a position."""
        candidates = self._expressions.get(file, [])
        index = bisect_right(candidates, position, key=lambda item: item.opening)
        found = candidates[index - 1] if index else None
        while found is not None and found.end <= position:
            found = found.parent
        return found

    def clause(self, file: str, position: Position) -> Clause | None:
        """The clause at a position."""
        candidates = self._clauses.get(file, [])
        index = bisect_right(candidates, position, key=lambda item: item.start)
        found = candidates[index - 1] if index else None
        return found if found is not None and position < found.end else None


class _Reader:
    """Reads one rule of a module."""

    def __init__(self, path: str, module: Module, rule: Rule) -> None:
        self._path, self._module, self._rule = path, module, rule
        self._source = module.source

    def clauses(self) -> Iterator[Clause]:
        """The rule itself, then each of its `else`."""
        for part, span in enumerate(self._parts()):
            inside = [body for body in self._rule.bodies if span.start <= body.start < span.stop]
            yield Clause(
                file=self._path,
                start=self._start(span.start),
                head_end=self._end(self._head_stop(span)),
                end=self._end(span.stop),
                rule=(*self._source.package, self._rule.name),
                part=part,
                is_default=self._rule.is_default,
                expressions=tuple(self._expressions(inside, None)),
            )

    def _parts(self) -> Iterator[range]:
        start = self._rule.start
        while start < self._rule.end:
            stop = self._module.find(range(start + 1, self._rule.end), "else") or self._rule.end
            yield range(start, stop)
            start = stop

    def _head_stop(self, span: range) -> int:
        """The token after a clause's head."""
        found = self._module.find(span, "if")
        if found is not None:
            return found
        # `else {` has a body without `if`, as heads had before Rego v1.
        after = self._source.tokens[span.start + 1 : span.stop][:1]
        is_else = self._module.is_keyword(span.start, "else")
        return span.start + 1 if is_else and after and after[0].text == "{" else span.stop

    def _expressions(
        self, bodies: Collection[Body], parent: Expression | None
    ) -> Iterator[Expression]:
        for body in bodies:
            for literal in body.literals:
                if literal.start >= literal.end or literal.loose:
                    continue
                found = self._expression(body, literal, parent)
                yield found
                yield from self._expressions(literal.bodies, found)

    def _expression(self, body: Body, literal: Literal, parent: Expression | None) -> Expression:
        start = self._start(literal.start)
        follows_if = self._module.is_keyword(body.start - 1, "if")
        span = range(literal.start, literal.end)
        unifies = self._module.find(range(literal.start, literal.core_end), "=") is not None
        return Expression(
            file=self._path,
            start=start,
            end=self._end(literal.end),
            opening=self._start(body.start - 1) if follows_if else start,
            text=" ".join(self._module.text(span).split()),
            is_condition=not (literal.binds or unifies),
            parent=parent,
        )

    def _start(self, index: int) -> Position:
        return self._source.place(self._source.tokens[index].start)

    def _end(self, index: int) -> Position:
        """The position after the token before an index."""
        line, column = self._source.place(self._source.tokens[index - 1].end - 1)
        return line, column + 1
