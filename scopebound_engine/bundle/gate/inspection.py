"""The steps of the gate that look into a policy, for the child process that may die of them.

Each step takes a `Candidate` and tells what it finds; `gate.py` lists them and says in which order.
The parent knows them by name only: what they call loads the Rego engine. Those that ask the policy
itself stand in `behaviour.py`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from scopebound_engine.bundle.gate.behaviour import denied_emptiness, denied_floor, verdicts_on_all
from scopebound_engine.bundle.gate.candidate import Candidate
from scopebound_engine.errors import CompileError, Finding
from scopebound_engine.rego.checks import (
    aggregates,
    builtins,
    costs,
    denials,
    documents,
    equalities,
    foregone,
    heads,
    matchers,
    quiet,
    reach,
    references,
    shapes,
    silences,
    sizes,
    sources,
)
from scopebound_engine.rego.checks.demands import Demands
from scopebound_engine.rego.testing.cases import is_test_file
from scopebound_engine.rego.testing.lowering import lower

Step = Callable[[Candidate], Iterable[Finding]]

# What fails so has no plan that other steps could look at, or may not be asked once more.
_NOT_COMPILED: Final = frozenset({"source", "size", "parse", "compile", "sandbox"})
# A policy that is not sound cannot be asked.
_ASKING: Final = (denied_emptiness, denied_floor, verdicts_on_all)


def inspect(candidate: Mapping[str, Any], steps: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A job for the sandbox: findings and seconds of each step, up to one that rules out the rest.

    `steps` are names of functions of this module.
    """
    yield from made(Candidate(**candidate), [globals()[step] for step in steps])


def made(subject: Candidate, steps: Iterable[Step]) -> Iterator[dict[str, Any]]:
    """The answers of `inspect` on a candidate that is there already."""
    findings: list[Finding] = []
    for step in steps:
        if step in _ASKING and not can_run(findings):
            return
        started = time.perf_counter()
        try:
            new = list(step(subject))
        except CompileError as error:
            new = list(error.findings)
        seconds = time.perf_counter() - started
        yield {"findings": [asdict(finding) for finding in new], "seconds": seconds}
        findings += new
        if any(finding.step in _NOT_COMPILED for finding in new):
            return


def can_run(findings: Sequence[Finding]) -> bool:
    """Whether what was found so far leaves a policy that is worth running."""
    errors = (finding.step for finding in findings if finding.level == "error")
    return (_NOT_COMPILED | {"plan"}).isdisjoint(errors)


def safe_sources(candidate: Candidate) -> Iterator[Finding]:
    """No character or escape that the engine reads otherwise than OPA."""
    for module in candidate.parsed.values():
        yield from sources.unsafe_text(module.source)


def countable_rules(candidate: Candidate) -> Iterator[Finding]:
    """No more rules than can be compiled in bearable time."""
    bound = costs.Bound(min(costs.RULES.warn, candidate.max_rules), candidate.max_rules)
    yield from costs.too_many_rules(candidate.parsed_rules, bound)
    yield from costs.too_many_rules(candidate.parsed_tests, costs.TEST_RULES)


def bearable_sizes(candidate: Candidate) -> Iterator[Finding]:
    """No more source and data than can be compiled and loaded in bearable time."""
    yield from sizes.too_much_source(candidate.parsed_rules)
    yield from sizes.too_much_source(candidate.parsed_tests, sizes.TEST_TOKENS)
    yield from sizes.too_much_data(candidate.data)


def parsed_sources(candidate: Candidate) -> Iterator[Finding]:
    """All modules are Rego, of version 1, and mean what they look like."""
    modules = list(candidate.parsed.values())
    malformed = list(sources.malformed(modules))
    yield from malformed
    told = {finding.file for finding in malformed}
    yield from _no_rego(
        {path: text for path, text in candidate.modules.items() if path not in told}
    )
    yield from sources.misread(modules)
    yield from sources.overrides(candidate.parsed_rules)
    yield from heads.misfits(modules)


def _no_rego(modules: Mapping[str, str]) -> Iterator[Finding]:
    """What the engine does not parse; of tests only what it does not parse as they are run."""
    # Loads the engine, which who only imports this module must not do.
    from scopebound_engine.rego.compiler import parse

    found = parse(modules)
    tests = {finding.file for finding in found if is_test_file(finding.file)}
    try:
        lowered = lower(modules).modules if tests else {}
    except CompileError:
        lowered = modules
    broken = {finding.file for finding in parse({path: lowered[path] for path in tests})}
    yield from (finding for finding in found if finding.file not in tests - broken)


def sound_plan(candidate: Candidate) -> Iterator[Finding]:
    """Everything that is referred to is there, and nothing stands in another's place."""
    plan, data = candidate.plan, candidate.data
    yield from references.broken_references(plan)
    yield from references.missing_entrypoint(plan, candidate.entrypoint)
    yield from documents.unknown_input(plan)
    yield from documents.unknown_data(plan, data)
    yield from documents.overlaps(plan, data)
    yield from reach.chosen_by_calls(plan)


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
    yield from foregone.out_of_range(candidate.values)


def declared_denials(candidate: Candidate) -> Iterator[Finding]:
    """Each violation is whole, declared and gathered, each declared code is used."""
    yield from denials.check(candidate.values, candidate.entrypoint, candidate.codes)
    yield from reach.unheard(candidate.values, candidate.entrypoint)


def audible_denials(candidate: Candidate) -> Iterator[Finding]:
    """No violation is lost for what it only shows, or for a condition that means something else."""
    bodies = Demands(candidate.values)
    yield from silences.silent_for_reasons(bodies)
    yield from quiet.quiet_conditions(bodies)
    yield from foregone.always_different(bodies)


def handled_matchers(candidate: Candidate) -> Iterator[Finding]:
    """Each matcher that rules read is declared, and what it cannot judge is denied."""
    yield from matchers.check(candidate.values, candidate.entrypoint, candidate.matchers)


def bearable_costs(candidate: Candidate) -> Iterator[Finding]:
    """Nothing that would make every call slow."""
    yield from costs.large_literals(candidate.plan)
    yield from costs.large_data(candidate.data)
