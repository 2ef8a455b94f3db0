"""Every check that a bundle passes before it may be activated, as the numbered list of the design.

 1  bytes       one gzip member of plain files, nothing after the end        `archive.read`
 2  signature   of a trusted key over every file; the manifest is whole      `signature.verify`
 3  source …  10  behaviour                                                  `GATE`, below

Steps 1 and 2 made the VerifiedBundle. The others run in child processes with limits and a deadline;
a child that dies or hangs is a finding like any other. The bundle's own tests run meanwhile, in
children of their own.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from scopebound_engine.bundle.format.manifest import FILE, Manifest
from scopebound_engine.bundle.format.thresholds import missed
from scopebound_engine.bundle.gate import behaviour, inspection
from scopebound_engine.bundle.gate.candidate import Candidate
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.errors import (
    CompileError,
    EngineError,
    EvaluatorCrashedError,
    Finding,
    Findings,
    GateError,
    Level,
)
from scopebound_engine.rego.checks.costs import RULES
from scopebound_engine.rego.sandbox import decode_record, started
from scopebound_engine.rego.testing.runner import TestResult, TestRun

# In the order in which they are made.
GATE: Final[Mapping[str, inspection.Step]] = {
    "3 source": inspection.safe_sources,
    # Before anything is compiled: 10,000 rules take 35 s.
    "9 rules": inspection.countable_rules,
    "9 sizes": inspection.bearable_sizes,
    "4 parse": inspection.parsed_sources,
    "5 plan": inspection.sound_plan,
    "6 built-ins": inspection.trusted_builtins,
    "7 shapes": inspection.safe_shapes,
    "8 denials": inspection.declared_denials,
    "8 silences": inspection.audible_denials,
    "8 matchers": inspection.handled_matchers,
    "9 costs": inspection.bearable_costs,
    "10 empty input": behaviour.denied_emptiness,
    "10 floor": behaviour.denied_floor,
    "10 verdicts": behaviour.verdicts_on_all,
    # 10 goes on with `failing_tests` and `missed_thresholds`.
}
CHILD: Final = "scopebound_engine.bundle.gate.inspection:inspect"
_SECONDS: Final = 60.0
_MOST: Final = 300
_LONGEST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Report(Findings):
    """What the gate found, in the order of its steps, and how many seconds each step took.

    Those of the tests are the wait for them after all other steps.
    """

    timings: tuple[tuple[str, float], ...]


def require(
    bundle: VerifiedBundle, *, acknowledge_floor: bool = False, seconds: float = _SECONDS
) -> Report:
    """The report on a bundle without errors. Raises GateError with all findings otherwise."""
    report = check(bundle, acknowledge_floor=acknowledge_floor, seconds=seconds)
    if report.errors:
        raise GateError("the bundle does not pass the gate", report.findings)
    return report


def check(
    bundle: VerifiedBundle, *, acknowledge_floor: bool = False, seconds: float = _SECONDS
) -> Report:
    """All that is to be said of a bundle.

    `acknowledge_floor` makes a warning of what the floor refuses. `seconds` bounds it all. Raises
    EngineError where the system lets no process be started.
    """
    candidate = as_candidate(bundle, acknowledge_floor=acknowledge_floor)
    with TestRun(candidate.modules, candidate.data, seconds=seconds) as tests:
        findings, timings = _inspected(candidate, seconds)
        findings += unfit_patterns(bundle.manifest)
        if inspection.can_run(findings):
            began = time.perf_counter()
            new, results = failing_tests(tests)
            findings += new
            findings += missed_thresholds(bundle.manifest, results, findings)
            timings.append(("10 tests", time.perf_counter() - began))
    return Report(bounded(findings), tuple(timings))


def bounded(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each finding once, as many and as long as somebody may want to read."""
    unique = list(dict.fromkeys(findings))
    told, rest = unique[:_MOST], unique[_MOST:]
    if rest:
        level: Level = "error" if any(item.level == "error" for item in rest) else "warning"
        told.append(Finding(rest[0].step, f"and {len(rest)} findings more", level=level))
    return tuple(
        item if len(item.message) <= _LONGEST else replace(item, message=item.message[:_LONGEST])
        for item in told
    )


def as_candidate(bundle: VerifiedBundle, *, acknowledge_floor: bool) -> Candidate:
    """What the steps look at."""
    undeclared = Candidate(
        modules=bundle.modules(),
        rule_files=tuple(bundle.rules()),
        data=bundle.data(),
        acknowledge_floor=acknowledge_floor,
    )
    return declared(undeclared, bundle.manifest)


def declared(candidate: Candidate, manifest: Manifest) -> Candidate:
    """The candidate with what a manifest says of it."""
    bound = manifest.thresholds.max_rules
    return replace(
        candidate,
        entrypoint=manifest.entrypoint,
        codes={code.code: code.severity for code in manifest.deny_codes},
        matchers={name: spec.steps for name, spec in manifest.matchers.items()},
        max_rules=RULES.most if bound is None else min(bound, RULES.most),
    )


def _inspected(
    candidate: Candidate, seconds: float
) -> tuple[list[Finding], list[tuple[str, float]]]:
    steps = {label: step.__name__ for label, step in GATE.items()}
    with started(CHILD, asdict(candidate), list(steps.values()), seconds=seconds) as answers:
        return collected(answers, steps)


def collected(
    answers: Iterable[Any], steps: Iterable[str]
) -> tuple[list[Finding], list[tuple[str, float]]]:
    """The findings and timings that a child answers, which was given the steps of these labels."""
    findings: list[Finding] = []
    timings: list[tuple[str, float]] = []
    labels = iter(steps)
    try:
        for answer in answers:
            new, took = _decoded(answer)
            findings += new
            timings.append((next(labels), took))
    except EngineError as error:
        message = f"the check «{next(labels, 'end')}» could not be made: {error}"
        remedy = "the policy crashes or hangs the Rego engine; leave out what you added last"
        findings.append(Finding("sandbox", message, remedy=remedy))
    if inspection.can_run(findings) and (missing := next(labels, None)):
        findings.append(Finding("sandbox", f"the check «{missing}» was not made"))
    return findings, timings


def _decoded(answer: Any) -> tuple[list[Finding], float]:
    try:
        findings = [decode_record(Finding, item) for item in answer["findings"]]
        return findings, float(answer["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvaluatorCrashedError("the child process answered out of turn") from error


def unfit_patterns(manifest: Manifest) -> list[Finding]:
    """What is to be said of the patterns of matchers. In this process, since it takes RE2."""
    if not manifest.matchers:
        return []
    # RE2 and the Rego engine abort in one process, and the tests of the gate load the latter.
    from scopebound_engine.bundle.matchers import problems

    return list(problems(manifest))


def failing_tests(tests: TestRun) -> tuple[list[Finding], list[TestResult]]:
    """The bundle's own tests pass on the bundle as it is."""
    try:
        results = tests.results()
    except CompileError as error:
        return list(error.findings), []
    except EngineError as error:
        return [Finding("tests", f"the tests cannot be run: {error}")], []
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
    ], results


def missed_thresholds(
    manifest: Manifest, results: Sequence[TestResult], findings: Iterable[Finding]
) -> list[Finding]:
    """The bundle keeps the bounds that it sets itself."""
    skipped = sum(result.is_skipped for result in results)
    warnings = [item for item in findings if item.level == "warning" and item.step != "floor"]
    counted = {
        "min_tests": len(results) - skipped,
        "max_skipped_tests": skipped,
        "max_warnings": len(warnings),
    }
    return missed_bounds(manifest, counted)


def missed_bounds(manifest: Manifest, counted: Mapping[str, int]) -> list[Finding]:
    """The bounds of a manifest that are not kept, of those by whose name something was counted."""
    remedy = "mend what is counted, or change the bound in the manifest"
    return [
        Finding("thresholds", f"thresholds: {sentence}", FILE, remedy=remedy)
        for sentence in missed(manifest.thresholds, counted)
    ]
