"""Plans of a few lines of Rego, for tests of what is read off them."""

from collections.abc import Iterable, Mapping
from typing import Any

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.compiler import compile_plan
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source


def parsed(*modules: str) -> list[Module]:
    """Modules that are called a.rego, b.rego, …"""
    return [Module(Source(f"{chr(97 + index)}.rego", text)) for index, text in enumerate(modules)]


def plan_of(*modules: str, entrypoint: str = "t/x") -> Plan:
    """The plan of modules that are called a.rego, b.rego, …"""
    named = {f"{chr(97 + index)}.rego": text for index, text in enumerate(modules)}
    return Plan(compile_plan(named, [entrypoint]), named)


def values_of(*rules: str, data: Mapping[str, Any] | None = None) -> Values:
    """The values in a plan of one module that holds these rules."""
    return Values(plan_of("\n".join(["package t", *rules])), data or {})


def told(findings: Iterable[Finding]) -> list[str]:
    """Findings as line and message."""
    return [f"{finding.line}: {finding.message}" for finding in findings]
