"""Which rules a denial can come from, read off the plan that denies."""

from collections.abc import Mapping
from typing import Any

from scopebound_engine.rego.checks.denials import violations
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.program import Program


def origins(plan: Mapping[str, Any], program: Program) -> dict[str, list[str]]:
    """The places, `file:line`, of the rules that can deny with each code; `plan` is the program's.

    A code that is not written out in a rule, or handed to a helper by one, has none.
    """
    values = Values(Plan(plan, dict(program.modules)), program.data)
    found: dict[str, set[tuple[str, int]]] = {}
    for violation in violations(values, program.entrypoint):
        for code in violation.code:
            found.setdefault(code, set()).add((violation.place.file, violation.place.line))
    return {
        code: [f"{file}:{line}" for file, line in sorted(places)]
        for code, places in sorted(found.items())
    }
