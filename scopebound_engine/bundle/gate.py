"""Every check that a bundle passes before it may be activated, as a numbered list (`GATE`).

Steps 1 and 2, that its bytes are an archive and that a trusted key signed all of it, made the
VerifiedBundle. What follows runs in child processes with limits and a deadline; a child that dies
or hangs is a finding like any other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from scopebound_engine.errors import CompileError, EngineError, EvaluationError, Finding, GateError
from scopebound_engine.rego.checks import (
    aggregates,
    builtins,
    costs,
    denials,
    documents,
    equalities,
    references,
    shapes,
    sources,
)
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.sandbox import decode_record, stream_from_child
from scopebound_engine.rego.testing.runner import run_tests

if TYPE_CHECKING:
    # For its shape alone: the child would load the cryptography of signatures with it.
    from scopebound_engine.bundle.signature import VerifiedBundle

_CHILD: Final = "scopebound_engine.bundle.gate:inspect"
_CHILD_SECONDS: Final = 60.0
_TESTS_SECONDS: Final = 120.0


def require(bundle: "VerifiedBundle") -> None:
    """Raise GateError with all findings, if there is one."""
    findings = check(bundle)
    if findings:
        raise GateError("the bundle does not pass the gate", findings)


def check(bundle: "VerifiedBundle", *, seconds: float = _CHILD_SECONDS) -> tuple[Finding, ...]:
    """All that is wrong with a bundle, in the order of the steps; empty if it may be activated.

    `seconds` bounds the steps before the bundle's own tests.
    """
    candidate = Candidate(
        modules=bundle.modules(),
        rule_files=tuple(bundle.rules()),
        data=bundle.data(),
        entrypoint=bundle.manifest.entrypoint,
        codes={code.code: code.severity for code in bundle.manifest.deny_codes},
    )
    findings = _in_child(candidate, seconds)
    if _can_run(findings):
        findings += failing_tests(candidate)
    return tuple(dict.fromkeys(findings))


def _in_child(candidate: "Candidate", seconds: float) -> list[Finding]:
    findings: list[Finding] = []
    steps = iter(GATE)
    try:
        for found in stream_from_child(_CHILD, asdict(candidate), seconds=seconds):
            findings += [decode_record(Finding, item) for item in found]
            next(steps)
    except EngineError as error:
        message = f"the check «{next(steps, 'end')}» could not be made: {error}"
        remedy = "the policy crashes or hangs the Rego engine; leave out what you added last"
        findings.append(Finding("sandbox", message, remedy=remedy))
    if not findings and (missing := next(steps, None)):
        findings.append(Finding("sandbox", f"the check «{missing}» was not made"))
    return findings


@dataclass(frozen=True)
class Candidate:
    """What the checks look at. `modules` holds tests too, `rule_files` names those without.

    `codes` gives each declared deny code its severity.
    """

    modules: Mapping[str, str]
    rule_files: tuple[str, ...]
    data: Mapping[str, Any]
    entrypoint: str
    codes: Mapping[str, str]

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


def failing_tests(candidate: Candidate) -> list[Finding]:
    """The bundle's own tests pass on the bundle as it is. In children of its own."""
    try:
        results = run_tests(candidate.modules, candidate.data, seconds=_TESTS_SECONDS)
    except CompileError as error:
        return list(error.findings)
    except EngineError as error:
        return [Finding("tests", f"the tests cannot be run: {error}")]
    return [
        Finding(
            "tests",
            f"{result.name} {result.outcome}: {result.expression or result.message}",
            result.file,
            result.line,
            1,
        )
        for result in results
        if result.outcome in {"failed", "error"}
    ]


Step = Callable[[Candidate], Iterable[Finding]]

# The numbers are those of the design; 1 and 2 stand in `signature.verify`.
GATE: Final[Mapping[str, Step]] = {
    "3 source": safe_sources,
    "4 parse": parsed_sources,
    "5 plan": sound_plan,
    "6 built-ins": trusted_builtins,
    "7 shapes": safe_shapes,
    "8 denials": declared_denials,
    "9 costs": bearable_costs,
    "10 empty input": denied_emptiness,
    # 10 goes on with `failing_tests`, which starts children of its own.
}
# What fails in these steps has no plan that the others could look at.
_NOT_COMPILED: Final = frozenset({"source", "parse", "compile", "sandbox"})


def _can_run(findings: Iterable[Finding]) -> bool:
    """Whether what was found so far leaves a policy that is worth running."""
    return not any(finding.step in _NOT_COMPILED | {"plan"} for finding in findings)


def inspect(candidate: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """A job for the sandbox: the findings of each step, up to one that rules out those after it."""
    subject = Candidate(**candidate)
    findings: list[Finding] = []
    for step in GATE.values():
        if step is denied_emptiness and not _can_run(findings):
            return
        try:
            new = list(step(subject))
        except CompileError as error:
            new = list(error.findings)
        yield [asdict(finding) for finding in new]
        findings += new
        if any(finding.step in _NOT_COMPILED for finding in new):
            return
