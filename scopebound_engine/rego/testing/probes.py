"""Rules that are added beside a test that failed, to find out which expression did it and why.

A test is a conjunction. A probe holds where the conjunction does up to one of its expressions, so
the first that does not hold names the expression. What that one saw is asked for by others, whose
values are arrays with a pair for each solution of all before it:

    __probe_0_1 := [[[], __probe_v] | <all before the expression>; __probe_v := <a part of it>]

The first of a pair is empty but inside of `every`, where it holds what the variables of that are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from scopebound_engine.rego.source.bodies import Body, Literal
from scopebound_engine.rego.source.syntax import Module, Rule
from scopebound_engine.rego.testing.scopes import Scope
from scopebound_engine.rego.testing.terms import Term, terms

_VALUE: Final = "__probe_v"


@dataclass(frozen=True, slots=True)
class Step:
    """An expression of a test, and the text of all that comes before it.

    `variables` are those of the `every` that it stands in.
    """

    literal: Literal
    scope: Scope
    before: str
    variables: tuple[str, ...] = ()

    @property
    def line(self) -> int:
        """The line on which it begins."""
        source = self.scope.module.source
        return source.place(source.tokens[self.literal.start].start)[0]

    @property
    def text(self) -> str:
        """It as it is written."""
        return self.scope.module.text(range(self.literal.start, self.literal.end))

    def holds(self) -> str:
        """The body of a rule that is true if the expression is, and all before it."""
        return f"if {{\n{self.before}{self.text}\n}}"

    def solutions(self) -> str:
        """A value: for which variables of `every` the expression holds."""
        return _pairs(self, self.text, "null")

    def candidates(self) -> str:
        """A value: for which variables of `every` all before the expression holds."""
        return _pairs(self, "true", "null")

    def value(self, term: Term) -> str:
        """A value: what a part of the expression is."""
        return _pairs(self, f"{_VALUE} := {term.source}", _VALUE)

    def terms(self) -> list[Term]:
        """The parts of the expression that can be asked for."""
        return terms(self.literal, self.scope)

    def inside(self) -> list["Step"]:
        """The expressions in the body of `every`, which this one is; none of others."""
        literal, module = self.literal, self.scope.module
        if not module.is_keyword(literal.start, "every") or literal.overrides:
            return []
        found = module.find(range(literal.start, literal.core_end), "in")
        body = literal.bodies[-1]
        if found is None or not body.variables:
            return []
        names = module.text(range(literal.start + 1, found))
        domain = module.text(range(found, body.start - 1))
        variables = tuple(module.names(range(literal.start + 1, found)))
        before = f"{self.before}some {names} {domain}\n"
        return [
            replace(step, variables=variables)
            for step in _steps(body, self.scope.inside(literal), before)
        ]


def steps(
    module: Module, rule: Rule, scope: Scope, condition: tuple[int, str] | None = None
) -> list[Step]:
    """The expressions of a test's body, in order; none where it has no body.

    `condition` is an expression that is to hold too, after so many of them.
    """
    body = main_body(module, rule)
    return [] if body is None else list(_steps(body, scope, "", condition))


def main_body(module: Module, rule: Rule) -> Body | None:
    """What follows the first `if` of a rule."""
    for body in rule.bodies:
        braced = module.source.tokens[body.start - 1].text == "{"
        if module.is_keyword(body.start - 1 - braced, "if"):
            return body
    return None


def _steps(
    body: Body, scope: Scope, before: str, condition: tuple[int, str] | None = None
) -> Iterator[Step]:
    for number, literal in enumerate(body.literals):
        if condition is not None and condition[0] == number:
            before += condition[1] + "\n"
        yield Step(literal, scope.at(body, number), before)
        before += scope.module.text(range(literal.start, literal.end)) + "\n"


def _pairs(step: Step, last: str, value: str) -> str:
    variables = ", ".join(step.variables)
    return f":= [[[{variables}], {value}] |\n{step.before}{last}\n]"
