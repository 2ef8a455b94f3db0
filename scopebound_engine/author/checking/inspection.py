"""The part of `check` that looks into policies, for the child process that may die of them.

It makes the gate's own steps, but for those that ask the policy, and two that only authors need.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.bundle.gate import inspection as gate
from scopebound_engine.bundle.gate.candidate import Candidate
from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks import metadata, unused


def documented_denials(candidate: Candidate) -> Iterator[Finding]:
    """Each deny rule says in its METADATA what it is."""
    rules = {path: candidate.parsed[path] for path in candidate.rule_files}
    yield from metadata.unreadable(candidate.parsed_rules)
    yield from metadata.undocumented(candidate.values, candidate.entrypoint, rules)


def needed_imports(candidate: Candidate) -> Iterator[Finding]:
    """Nothing is imported for nothing."""
    yield from unused.unused_imports(list(candidate.parsed.values()))


# What each file says by itself; then what all say together; then what needs a manifest.
FILES: Final = {
    "source": gate.safe_sources,
    "rules": gate.countable_rules,
    "sizes": gate.bearable_sizes,
    "parse": gate.parsed_sources,
    "imports": needed_imports,
}
TOGETHER: Final = {
    "plan": gate.sound_plan,
    "built-ins": gate.trusted_builtins,
    "shapes": gate.safe_shapes,
    "silences": gate.audible_denials,
    "costs": gate.bearable_costs,
    "metadata": documented_denials,
}
DECLARED: Final = {
    "denials": gate.declared_denials,
    "matchers": gate.handled_matchers,
}


def inspect(candidate: Mapping[str, Any], steps: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A job for the sandbox: findings and seconds of each of these steps, as the gate's is."""
    known = FILES | TOGETHER | DECLARED
    yield from gate.made(Candidate(**candidate), [known[step] for step in steps])
