"""Rego source as rules: as much of the grammar as finding and rewriting tests needs."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache

from scopebound_engine.rego.source.bodies import Body, BodyReader, declared
from scopebound_engine.rego.source.scanner import Scanner
from scopebound_engine.rego.source.tokens import Source


@dataclass(frozen=True, slots=True)
class Head:
    """Where a rule or function begins and ends, and its name."""

    name: str
    start: int
    end: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule or function from its head to its last `else`. `bodies` are in order of the source."""

    name: str
    start: int
    end: int
    is_default: bool
    bodies: tuple[Body, ...]


@lru_cache(maxsize=2_000)
def parsed(path: str, text: str) -> "Module":
    """A module that is looked at more than once. For child processes: they end before it matters
    how much is remembered.
    """
    return Module(Source(path, text))


class Module(Scanner):
    """A source with its rules."""

    @cached_property
    def statements(self) -> list[range]:
        """The package clause, the imports and the rules, as ranges of tokens."""
        return list(self.split(range(len(self._tokens)), separator=""))

    @cached_property
    def heads(self) -> list[Head]:
        """The beginnings of all rules, in order."""
        return [
            self._head(span)
            for span in self.statements
            if self._tokens[span.start].text not in {"package", "import"}
        ]

    @cached_property
    def rules(self) -> list[Rule]:
        """All rules, in order. Raises RecursionError for brackets inside of hundreds of others."""
        return [self._rule(head) for head in self.heads]

    @cached_property
    def imports(self) -> dict[str, tuple[str, ...]]:
        """Imported paths by the name they go by here: `data.a.b` is ("data", "a", "b")."""
        found = {}
        for span in self.statements:
            words = [self._tokens[index].text for index in span]
            if words[0] == "import" and len(words) > 1 and words[1] in {"input", "data"}:
                path = tuple(words[1:][: words.index("as") - 1 if "as" in words else None : 2])
                found[words[-1]] = path
        return found

    def undeclared(self, line: int, rules: Collection[str]) -> list[str]:
        """The names on a line that are no variable of the rule around it, no import and no rule.

        `rules` are the names of the package's rules.
        """
        place = self.source.place
        for rule in self.rules:
            span = range(rule.start, rule.end)
            spot = [index for index in span if place(self._tokens[index].start)[0] == line]
            if spot:
                known = {*rules, *self.imports, *self.parameters(rule)}
                names = self.names(range(spot[0], spot[-1] + 1))
                known |= declared(rule.bodies)
                return [name for name in dict.fromkeys(names) if name not in known]
        return []

    def parameters(self, rule: Head | Rule) -> frozenset[str]:
        """The variables in a function's head."""
        opening = rule.start + rule.is_default + 1
        close = self.source.closing.get(opening)
        if close is None or self._tokens[opening].text != "(":
            return frozenset()
        return frozenset(self.names(range(opening + 1, close)))

    def _head(self, span: range) -> Head:
        is_default = self._tokens[span.start].text == "default"
        name = self._tokens[min(span.start + is_default, span.stop - 1)].text
        return Head(name, span.start, span.stop, is_default)

    def _rule(self, head: Head) -> Rule:
        span = range(head.start, head.end)
        bodies = BodyReader(self).of_rule(span, self.parameters(head))
        return Rule(head.name, head.start, head.end, head.is_default, tuple(bodies))
