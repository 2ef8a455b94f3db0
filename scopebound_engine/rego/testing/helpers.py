"""Helpers that stand for expressions with an override: what they are, and how they are called."""

from dataclasses import dataclass
from typing import Final

from scopebound_engine.rego.source.bodies import Literal
from scopebound_engine.rego.source.syntax import Module

PREFIX: Final = "__with_"
NOT: Final = "_not"


@dataclass(frozen=True, slots=True)
class Call:
    """The call of a helper in place of a literal.

    `free` are the variables that it takes, `found` those that it gives values; `iterates` tells
    that the value it binds is one of several.
    """

    name: str
    literal: Literal
    free: tuple[str, ...]
    found: tuple[str, ...]
    iterates: bool

    @property
    def frame(self) -> tuple[str, str, str]:
        """What stands around the expression in the helper: in its head, before it and after it."""
        solution = ", ".join(self.found)
        if self.literal.binds:
            bound = f"[{PREFIX}v, {solution}]" if self.found else f"{PREFIX}v"
            if self.found or self.iterates:
                return f" := {PREFIX}r", f"{PREFIX}r := [{bound} | {PREFIX}v :=", "]"
            # The value may be false; what is tested has to hold for some solution.
            return f" := {PREFIX}r", f"{PREFIX}r :=", ""
        if self.found:
            return f" := {PREFIX}r", f"{PREFIX}r := [[{solution}] |", "]"
        return "", "", ""

    def around(self, module: Module) -> tuple[int, str, str]:
        """The token from which on a literal is replaced, and what stands around the arguments."""
        literal, solution = self.literal, ", ".join(self.found)
        if literal.negated:
            return literal.start, f"{self.name}{NOT}", ""
        if not self.found:
            return literal.term, self.name, "[_]" if self.iterates else ""
        if literal.binds:
            # Not declared, or those of `some` would be so twice.
            bound = module.text(range(literal.start, literal.term - 1))
            return literal.start, f"[{bound}, {solution}] = {self.name}", "[_]"
        return literal.start, f"[{solution}] = {self.name}", "[_]"

    def definition(self, targets: int, core: str, column: int) -> list[str]:
        """The rules that make it, each with the expression on its second line, in its column."""
        params = [*(f"{PREFIX}p{index}" for index in range(targets)), *self.free]
        taken = ", ".join(params or [f"{PREFIX}p"])
        head, opening, closing = self.frame
        expression = f"{' ' * (column - 1)}{core}"
        rules = [f"{self.name}({taken}){head} if {{{opening}\n{expression}\n{closing}}}"]
        if self.literal.negated:
            # Negated in a function of its own, an undefined value makes the whole expression
            # undefined; and inside of `every` the engine would not see variables after `not`.
            rules.append(f"{self.name}{NOT}({taken}) if {{\nnot {self.name}({taken})\n}}")
        return rules
