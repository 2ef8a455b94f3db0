"""Finds the expression that makes a test fail.

A test is a conjunction. For each of its prefixes a rule is added beside it, a probe; the first
probe that does not hold names the expression.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scopebound_engine.rego.source.syntax import Module, Rule
from scopebound_engine.rego.source.tokens import Source


@dataclass(frozen=True, slots=True)
class Probe:
    """The rule for a prefix of a test's body, and the expression that the prefix ends with."""

    entrypoint: str
    line: int
    expression: str


def add_probes(
    modules: Mapping[str, str], file: str, test: str, number: int
) -> tuple[dict[str, str], tuple[Probe, ...]]:
    """The modules with probes of one test of one file; `number` tells them from other tests'."""
    module = Module(Source(file, modules[file]))
    rules = [rule for rule in module.rules if rule.name == test and _has_plain_body(module, rule)]
    probes, text = [], modules[file]
    for index, (line, expression, prefix) in enumerate(
        _prefixes(module, rules[0]) if rules else ()
    ):
        name = f"__probe_{number}_{index}"
        probes.append(Probe("/".join((*module.source.package, name)), line, expression))
        text += f"\n{name} if {{\n{prefix}\n}}\n"
    return {**modules, file: text}, tuple(probes)


def _has_plain_body(module: Module, rule: Rule) -> bool:
    return bool(rule.bodies) and module.is_keyword(rule.start + 1, "if")


def _prefixes(module: Module, rule: Rule) -> Iterator[tuple[int, str, str]]:
    """The line and text of each expression of a rule, with all up to it."""
    source, prefix = module.source, ""
    for literal in rule.bodies[0].literals:
        expression = module.text(range(literal.start, literal.end))
        prefix += expression + "\n"
        line, _ = source.place(source.tokens[literal.start].start)
        yield line, " ".join(expression.split()), prefix
