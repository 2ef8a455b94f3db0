"""The queries in Rego source: rule bodies, comprehensions, the body of `every`, as literals.

Terms are not parsed; brackets are paired, and those that hold a query are split into literals, each
with its `with` modifiers. All positions are indices of tokens, ends exclusive.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scopebound_engine.rego.source.scanner import Scanner


@dataclass(frozen=True, slots=True)
class Override:
    """A `with` modifier: the tokens of its target and of its value."""

    target: range
    value: range


@dataclass(frozen=True, slots=True)
class Literal:
    """One expression of a body. `start` to `core_end` is what the overrides apply to.

    `term` is where the part begins that has a value: after `not`, `some … in` and `… :=`.
    `declares` are the variables it introduces, `loose` those that `some` leaves without a value.
    """

    start: int
    negated: bool
    term: int
    core_end: int
    end: int
    overrides: tuple[Override, ...]
    declares: frozenset[str]
    loose: frozenset[str]
    bodies: tuple["Body", ...]

    @property
    def binds(self) -> bool:
        """Whether the term's value is bound to a variable, rather than tested."""
        return self.term > self.start and not self.negated


@dataclass(frozen=True, slots=True)
class Body:
    """A query: literals, and the variables that come with it (of `every`, or a rule's)."""

    start: int
    end: int
    literals: tuple[Literal, ...]
    variables: frozenset[str]


def declared(bodies: Sequence[Body]) -> frozenset[str]:
    """All variables that these queries introduce, at any depth."""
    found: frozenset[str] = frozenset()
    for body in bodies:
        found |= body.variables
        for literal in body.literals:
            found |= literal.declares | literal.loose | declared(literal.bodies)
    return found


def literals(bodies: Iterable[Body]) -> Iterator[Literal]:
    """All literals of these queries, at any depth, each before those inside of it."""
    for body in bodies:
        for literal in body.literals:
            yield literal
            yield from literals(literal.bodies)


class BodyReader:
    """Reads the queries of one source."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._tokens = scanner.source.tokens
        self._closing = scanner.source.closing

    def of_rule(self, span: range, parameters: frozenset[str]) -> Iterator[Body]:
        """The bodies of a rule, and the queries inside of its values, in order."""
        index = span.start
        while index < span.stop:
            start = index + 1
            if self._scanner.is_keyword(index, "if") and start < span.stop:
                if self._tokens[start].text == "{":
                    close = self._closing.get(start, span.stop)
                    yield self._body(range(start + 1, close), parameters)
                    index = close
                else:
                    end = self._scanner.find(range(start, span.stop), "else") or span.stop
                    literal = self._literal(range(start, end))
                    yield Body(start, end, (literal,), parameters)
                    index = end - 1
            elif index in self._closing:
                # Values may hold comprehensions; `else {` is a body as well.
                yield from self._group(index, parameters)
                index = self._closing[index]
            index += 1

    def _body(self, span: range, variables: frozenset[str]) -> Body:
        literals = tuple(self._literal(part) for part in self._scanner.split(span, separator=";"))
        return Body(span.start, span.stop, literals, variables)

    def _literal(self, span: range) -> Literal:
        core_end = self._scanner.find(span, "with")
        core = range(span.start, span.stop if core_end is None else core_end)
        term, declares, loose = self._declared(core)
        return Literal(
            start=core.start,
            negated=self._scanner.is_keyword(core.start, "not"),
            term=term,
            core_end=core.stop,
            end=span.stop,
            overrides=tuple(self._overrides(range(core.stop, span.stop))),
            declares=declares,
            loose=loose,
            bodies=tuple(self._bodies_in(core, span)),
        )

    def _declared(self, core: range) -> tuple[int, frozenset[str], frozenset[str]]:
        nothing: frozenset[str] = frozenset()
        if self._scanner.is_keyword(core.start, "not"):
            return core.start + 1, nothing, nothing
        if self._scanner.is_keyword(core.start, "some"):
            found = self._scanner.find(core, "in")
            names = frozenset(self._scanner.names(range(core.start + 1, found or core.stop)))
            return (found + 1, names, nothing) if found else (core.stop, nothing, names)
        assign = self._scanner.find(core, ":=")
        if assign is not None:
            return assign + 1, frozenset(self._scanner.names(range(core.start, assign))), nothing
        return core.start, nothing, nothing

    def _overrides(self, span: range) -> Iterator[Override]:
        start = span.start
        while start < span.stop:
            end = self._scanner.find(range(start + 1, span.stop), "with") or span.stop
            middle = self._scanner.find(range(start + 1, end), "as") or end
            yield Override(range(start + 1, middle), range(min(middle + 1, end), end))
            start = end

    def _bodies_in(self, core: range, span: range) -> Iterator[Body]:
        """The queries inside of a literal; the last brace of `every` is one of them."""
        every = self._every(core)
        index = span.start
        while index < span.stop:
            if index in self._closing:
                if every is not None and index == every[0]:
                    close = self._closing[index]
                    yield self._body(range(index + 1, close), every[1])
                else:
                    yield from self._group(index, frozenset())
                index = self._closing[index]
            index += 1

    def _every(self, core: range) -> tuple[int, frozenset[str]] | None:
        """Where the body of `every` opens, and its variables."""
        if not self._scanner.is_keyword(core.start, "every"):
            return None
        last = self._tokens[core.stop - 1]
        found = self._scanner.find(core, "in")
        if found is None or last.text != "}":
            return None
        opening = next(index for index, close in self._closing.items() if close == core.stop - 1)
        return opening, frozenset(self._scanner.names(range(core.start + 1, found)))

    def _group(self, opening: int, variables: frozenset[str]) -> Iterator[Body]:
        """The queries inside of a pair of brackets."""
        close = self._closing[opening]
        inside = range(opening + 1, close)
        if self._scanner.is_keyword(opening - 1, "else") and self._tokens[opening].text == "{":
            yield self._body(inside, variables)
            return
        if self._tokens[opening].text != "(":
            bar = self._scanner.find(inside, "|", ",")
            if bar is not None and self._tokens[bar].text == "|":
                body = self._body(range(bar + 1, close), frozenset())
                # The head is evaluated with the variables of the body.
                yield body
                inside = range(opening + 1, bar)
        index = inside.start
        while index < inside.stop:
            if index in self._closing:
                yield from self._group(index, variables)
                index = self._closing[index]
            index += 1
