"""Which names of a module have a value where, as far as its tokens tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scopebound_engine.rego.source.bodies import Body, Literal, declared
from scopebound_engine.rego.source.syntax import Module

RulePath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """A module among the paths of all rules, and the variables that have a value at one place."""

    module: Module
    rules: frozenset[RulePath]
    bound: frozenset[str] = frozenset()

    @property
    def packages(self) -> frozenset[RulePath]:
        """The paths below `data` of all packages."""
        return frozenset(rule[:-1] for rule in self.rules)

    def at(self, body: Body, number: int) -> "Scope":
        """The scope of a literal of a body by its number, without what it binds itself.

        What is declared with a value has it in the whole body, wherever that is. Of others it is
        taken for granted that the first expression to name one gives it its value.
        """
        bound = self.bound | body.variables
        for index, literal in enumerate(body.literals):
            if index != number:
                bound |= literal.declares
            if index < number and not literal.negated:
                bound |= {name for name in self._named(literal) if not self.is_global(name)}
        return Scope(self.module, self.rules, bound)

    def inside(self, literal: Literal) -> "Scope":
        """The scope of the queries inside of a literal, which see what it binds."""
        return Scope(self.module, self.rules, self.bound | literal.declares)

    def is_global(self, name: str) -> bool:
        """Whether a name that no variable has is a rule's of the package, or an import's."""
        return name in self.module.imports or (*self.module.source.package, name) in self.rules

    def has_value(self, name: str) -> bool:
        """Whether a name has a value: as a variable, or for the whole module."""
        return name in self.bound or self.is_global(name)

    def path(self, root: str, fields: Sequence[str]) -> RulePath:
        """The path of a document from its name here and what follows: ("data", "a", "b")."""
        if root in self.bound:
            return (root, *fields)
        if (*self.module.source.package, root) in self.rules:
            return ("data", *self.module.source.package, root, *fields)
        return (*self.module.imports.get(root, (root,)), *fields)

    def _named(self, literal: Literal) -> set[str]:
        """The names in the part of a literal that has a value, without those of inner queries."""
        inner = declared(literal.bodies)
        found = self.module.names(range(literal.term, literal.core_end))
        return {name for name in found if name not in inner}


def rule_paths(modules: Mapping[str, Module]) -> frozenset[RulePath]:
    """The paths below `data` of all rules and functions."""
    return frozenset(
        (*module.source.package, head.name) for module in modules.values() for head in module.heads
    )
