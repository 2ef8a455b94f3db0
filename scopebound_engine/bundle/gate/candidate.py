"""A bundle on its way through the gate: what steps look at, compiled when the first one asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from scopebound_engine.bundle.gate.trial import Trial
from scopebound_engine.errors import CompileError
from scopebound_engine.rego.checks.costs import RULES
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.lookups import made_plain
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source

# The engine compiles nothing without an entrypoint, and takes one that is not there.
_ANYTHING: Final = "any/thing"


@dataclass(frozen=True)
class Candidate:
    """`modules` holds tests too, `rule_files` names those without.

    Where no manifest names an `entrypoint` it is empty; all rules are compiled with any. `codes`
    gives each declared deny code its severity, `matchers` each declared matcher the steps of its
    path. More than `max_rules` are refused. `acknowledge_floor` makes what the floor finds a
    warning.
    """

    modules: Mapping[str, str]
    rule_files: tuple[str, ...]
    data: Mapping[str, Any]
    entrypoint: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)
    matchers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    max_rules: int = RULES.most
    acknowledge_floor: bool = False

    @property
    def rules(self) -> dict[str, str]:
        """The modules that evaluators will load."""
        return {path: self.modules[path] for path in self.rule_files}

    @cached_property
    def parsed(self) -> dict[str, Module]:
        """All modules by path, read so that names and rules can be told apart."""
        return {path: Module(Source(path, text)) for path, text in self.modules.items()}

    @property
    def parsed_rules(self) -> list[Module]:
        """Those that evaluators will load."""
        return [self.parsed[path] for path in self.rule_files]

    @property
    def parsed_tests(self) -> list[Module]:
        """The others."""
        return [module for path, module in self.parsed.items() if path not in self.rule_files]

    @cached_property
    def plan(self) -> Plan:
        """The rules compiled. In a child only. Raises CompileError."""
        # Loads the engine, which the parent must not do.
        from scopebound_engine.rego.compiler import compile_plan

        try:
            document = compile_plan(self.rules, [self.entrypoint or _ANYTHING])
        except CompileError as error:
            from scopebound_engine.rego.blame import placed

            raise CompileError(error.summary, placed(error.findings, self.rules)) from error
        made_plain(document)
        return Plan(document, self.rules)

    @cached_property
    def values(self) -> Values:
        """What is known of values in the plan."""
        return Values(self.plan, self.data)

    @cached_property
    def trial(self) -> Trial:
        """The rules, ready to be asked. In a child only. Raises CompileError."""
        rules = tuple(self.rules.items())
        return Trial(Program(rules, self.data, self.entrypoint), self.codes)
