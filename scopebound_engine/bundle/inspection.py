"""The steps of the gate that look into a policy, for the child process that may die of them.

Each step takes a `Candidate` and tells what it finds; `gate.py` lists them and says in which order.
The parent knows them by name only: what they call loads the Rego engine.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final

from scopebound_engine.bundle import calls
from scopebound_engine.bundle.calls import Case
from scopebound_engine.bundle.floor import floor
from scopebound_engine.bundle.hostile_calls import hostile
from scopebound_engine.bundle.trial import Answer, Trial
from scopebound_engine.errors import CompileError, Finding, Level
from scopebound_engine.rego.checks import (
    aggregates,
    builtins,
    costs,
    denials,
    documents,
    equalities,
    heads,
    interests,
    matchers,
    reach,
    references,
    shapes,
    sources,
)
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source

# What fails so has no plan that other steps could look at, or may not be asked once more.
_NOT_COMPILED: Final = frozenset({"source", "size", "parse", "compile", "sandbox"})
# Tools beyond these, and calls without a verdict beyond those, tell nothing new.
_TOOLS: Final = 12
_TOLD: Final = 5


@dataclass(frozen=True)
class Candidate:
    """What the checks look at. `modules` holds tests too, `rule_files` names those without.

    `codes` gives each declared deny code its severity, `matchers` each declared matcher the steps
    of its path. More than `max_rules` are refused. `acknowledge_floor` makes what the floor finds a
    warning.
    """

    modules: Mapping[str, str]
    rule_files: tuple[str, ...]
    data: Mapping[str, Any]
    entrypoint: str
    codes: Mapping[str, str]
    matchers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    max_rules: int = costs.RULES.most
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

    @cached_property
    def trial(self) -> Trial:
        """The rules, ready to be asked. In a child only. Raises CompileError."""
        rules = tuple(self.rules.items())
        return Trial(Program(rules, self.data, self.entrypoint), self.codes)


def inspect(candidate: Mapping[str, Any], steps: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A job for the sandbox: findings and seconds of each step, up to one that rules out the rest.

    `steps` are names of functions of this module.
    """
    subject = Candidate(**candidate)
    findings: list[Finding] = []
    for step in steps:
        if globals()[step] in _RUNNING and not can_run(findings):
            return
        started = time.perf_counter()
        try:
            new = list(globals()[step](subject))
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
    tests = [module for path, module in candidate.parsed.items() if path not in candidate.rules]
    yield from costs.too_many_rules(tests, costs.TEST_RULES)


def parsed_sources(candidate: Candidate) -> Iterator[Finding]:
    """All modules are Rego, of version 1, and mean what they look like."""
    from scopebound_engine.rego.compiler import parse

    yield from parse(candidate.modules)
    modules = list(candidate.parsed.values())
    yield from sources.misread(modules)
    yield from sources.overrides(candidate.parsed_rules)
    yield from heads.misfits(modules)


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


def declared_denials(candidate: Candidate) -> Iterator[Finding]:
    """Each violation is whole, declared and gathered, each declared code is used."""
    yield from denials.check(candidate.values, candidate.entrypoint, candidate.codes)
    yield from reach.unheard(candidate.values, candidate.entrypoint)


def handled_matchers(candidate: Candidate) -> Iterator[Finding]:
    """Each matcher that rules read is declared, and what it cannot judge is denied."""
    yield from matchers.check(candidate.values, candidate.entrypoint, candidate.matchers)


def bearable_costs(candidate: Candidate) -> Iterator[Finding]:
    """Nothing that would make every call slow."""
    yield from costs.large_literals(candidate.plan)
    yield from costs.large_data(candidate.data)


def denied_emptiness(candidate: Candidate) -> Iterator[Finding]:
    """A call of which nothing is known is denied, with a verdict of the right shape."""
    answers = _asked(candidate, [Case("an empty input", {})])
    yield from _silences(answers)
    if any(answer.allow for _, answer in answers):
        remedy = "let allow be false by default, and true only for what is known to be fine"
        yield Finding("behaviour", "an empty input is allowed", remedy=remedy)


def denied_floor(candidate: Candidate) -> Iterator[Finding]:
    """What every policy must deny, whatever else it allows, is denied."""
    answers = _asked(candidate, floor())
    yield from _silences(answers)
    level: Level = "warning" if candidate.acknowledge_floor else "error"
    remedy = "deny it in a rule; who means to allow it has to acknowledge the floor"
    for case, answer in answers:
        if answer.allow:
            message = f"the policy allows {case.name}"
            yield Finding("floor", message, remedy=remedy, level=level)


def verdicts_on_all(candidate: Candidate) -> Iterator[Finding]:
    """Typical and hostile calls get a verdict in time, and some typical call is allowed."""
    named = interests.tools(candidate.values, candidate.data)[:_TOOLS]
    arguments = interests.arguments(candidate.plan)
    yield from _silences(_asked(candidate, hostile(named, arguments, candidate.matchers)))
    typical = _asked(candidate, calls.typical())
    yield from _silences(typical)
    if not any(answer.allow or answer.problem for _, answer in typical):
        codes = ", ".join(sorted({code for _, answer in typical for code in answer.codes}))
        message = f"no typical call is allowed, because of {codes}"
        remedy = "what else the policy should deny (the floor) could not be told from this"
        yield Finding("behaviour", message, remedy=remedy, level="warning")


def _asked(candidate: Candidate, cases: Iterable[Case]) -> list[tuple[Case, Answer]]:
    """The answers to these calls, up to one that ends a process, or some without a verdict."""
    answers: list[tuple[Case, Answer]] = []
    for case, answer in candidate.trial.answers(cases):
        answers.append((case, answer))
        if answer.lost or sum(bool(answer.problem) for _, answer in answers) == _TOLD:
            break
    return answers


def _silences(answers: Iterable[tuple[Case, Answer]]) -> Iterator[Finding]:
    for case, answer in answers:
        message = f"{case.name} gets no verdict: {answer.problem}"
        if answer.lost:
            yield Finding("sandbox", message, remedy="leave out what you added last")
        elif answer.problem:
            remedy = "in a rule, test what a value is (is_string, is_number) before it is used"
            yield Finding("behaviour", message, remedy=remedy)


# What these ask of a policy, one that is not sound cannot be asked.
_RUNNING: Final = (denied_emptiness, denied_floor, verdicts_on_all)
