"""The steps of the gate that look into a policy, for the child process that may die of them.

Each step takes a `Candidate` and tells what it finds; `gate.py` lists them and says in which order.
The parent knows them by name only: what they call loads the Rego engine.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final

from scopebound_engine.errors import CompileError, EvaluationError, Finding
from scopebound_engine.rego.checks import (
    aggregates,
    builtins,
    costs,
    denials,
    documents,
    equalities,
    matchers,
    references,
    shapes,
    sources,
)
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.program import Program

# What fails in these steps has no plan that the others could look at.
NOT_COMPILED: Final = frozenset({"source", "parse", "compile", "sandbox"})


@dataclass(frozen=True)
class Candidate:
    """What the checks look at. `modules` holds tests too, `rule_files` names those without.

    `codes` gives each declared deny code its severity, `matchers` each declared matcher the steps
    of its path. `acknowledge_floor` makes what the floor finds a warning.
    """

    modules: Mapping[str, str]
    rule_files: tuple[str, ...]
    data: Mapping[str, Any]
    entrypoint: str
    codes: Mapping[str, str]
    matchers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    acknowledge_floor: bool = False

    @property
    def rules(self) -> dict[str, str]:
        """The modules that evaluators will load."""
        return {path: self.modules[path] for path in self.rule_files}

    @cached_property
    def plan(self) -> Plan:
        """The rules compiled. In a child only. Raises CompileError."""
        # Loads the engine, which the parent must not do.
        from scopebound_engine.rego.compiler import compile_plan

        return Plan(compile_plan(self.rules, [self.entrypoint]), self.rules)

    @cached_property
    def values(self) -> Values:
        """What is known of values in the plan."""
        return Values(self.plan, self.data)


def inspect(candidate: Mapping[str, Any], steps: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A job for the sandbox: findings and seconds of each step, up to one that rules out the rest.

    `steps` are names of functions of this module.
    """
    subject = Candidate(**candidate)
    findings: list[Finding] = []
    for step in steps:
        if step == denied_emptiness.__name__ and not can_run(findings):
            return
        started = time.perf_counter()
        try:
            new = list(globals()[step](subject))
        except CompileError as error:
            new = list(error.findings)
        seconds = time.perf_counter() - started
        yield {"findings": [asdict(finding) for finding in new], "seconds": seconds}
        findings += new
        if any(finding.step in NOT_COMPILED for finding in new):
            return


def can_run(findings: Sequence[Finding]) -> bool:
    """Whether what was found so far leaves a policy that is worth running."""
    return not any(finding.step in NOT_COMPILED | {"plan"} for finding in findings)


def safe_sources(candidate: Candidate) -> Iterator[Finding]:
    """No character or escape that the engine reads otherwise than OPA."""
    for path, text in candidate.modules.items():
        yield from sources.unsafe_text(path, text)


def parsed_sources(candidate: Candidate) -> Iterator[Finding]:
    """All modules are Rego, of version 1, and mean what they look like."""
    from scopebound_engine.rego.compiler import parse

    yield from parse(candidate.modules)
    yield from sources.misread(candidate.modules)
    yield from sources.overrides(candidate.rules)


def sound_plan(candidate: Candidate) -> Iterator[Finding]:
    """Everything that is referred to is there, and nothing stands in another's place."""
    plan, data = candidate.plan, candidate.data
    yield from references.broken_references(plan)
    yield from references.missing_entrypoint(plan, candidate.entrypoint)
    yield from documents.unknown_input(plan)
    yield from documents.unknown_data(plan, data)
    yield from documents.overlaps(plan, data)


def trusted_builtins(candidate: Candidate) -> Iterator[Finding]:
    """Only built-ins that compute what OPA's do, used so that they do."""
    yield from builtins.forbidden(candidate.plan)
    yield from builtins.unsafe_searches(candidate.values)
    yield from builtins.unordered_texts(candidate.values)
    yield from builtins.bad_formats(candidate.values)
    yield from aggregates.unsafe_sums(candidate.values)
    yield from aggregates.counted_texts(candidate.values)
    yield from aggregates.unsafe_slices(candidate.values)


def safe_shapes(candidate: Candidate) -> Iterator[Finding]:
    """No expression that means something else here than in OPA."""
    yield from shapes.untyped_comparisons(candidate.values)
    yield from shapes.rounded_comparisons(candidate.values)
    yield from shapes.negated_comparisons(candidate.plan)
    yield from equalities.impossible_equalities(candidate.values)
    yield from equalities.impossible_members(candidate.values)


def declared_denials(candidate: Candidate) -> Iterator[Finding]:
    """Each violation is whole and declared, each declared code is used."""
    yield from denials.check(candidate.values, candidate.entrypoint, candidate.codes)


def handled_matchers(candidate: Candidate) -> Iterator[Finding]:
    """Each matcher that rules read is declared, and what it cannot judge is denied."""
    yield from matchers.check(candidate.values, candidate.entrypoint, candidate.matchers)


def bearable_costs(candidate: Candidate) -> Iterator[Finding]:
    """Nothing that would make every call slow."""
    yield from costs.too_much(candidate.plan, candidate.data)


def denied_emptiness(candidate: Candidate) -> Iterator[Finding]:
    """A call of which nothing is known is denied, with a verdict of the right shape."""
    from scopebound_engine.rego.engine import compile_program

    program = Program(tuple(candidate.rules.items()), candidate.data, candidate.entrypoint)
    try:
        allowed = compile_program(program).evaluate({}).allow
    except EvaluationError as error:
        yield Finding("behaviour", f"an empty input gets no verdict: {error}")
    else:
        if allowed:
            remedy = "let allow be false by default, and true only for what is known to be fine"
            yield Finding("behaviour", "an empty input is allowed", remedy=remedy)
