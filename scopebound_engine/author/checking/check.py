"""`policy check`: what the gate of a server would say about a folder, and what only authors need.

Reading the policies and asking them go on in two child processes at once. The bundle's tests, the
gate's last step, are for `policy test`.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from scopebound_engine.author.checking.inspection import DECLARED, FILES, TOGETHER
from scopebound_engine.author.folder import Sources
from scopebound_engine.bundle.gate import behaviour, gate
from scopebound_engine.bundle.gate.candidate import Candidate
from scopebound_engine.bundle.gate.inspection import can_run
from scopebound_engine.errors import Finding, Findings
from scopebound_engine.rego.sandbox import started

_JOB: Final = "scopebound_engine.author.checking.inspection:inspect"
_SECONDS: Final = 60.0
_ASKING: Final = {
    "empty input": behaviour.denied_emptiness,
    "floor": behaviour.denied_floor,
    "verdicts": behaviour.verdicts_on_all,
}
_UNREAD: Final = "all that needs the files that cannot be read: how the policies fit together"
_BROKEN: Final = "all that needs policies that compile"
_UNSOUND: Final = "verdicts on typical and hostile calls: the rules refer to what is not there"
_UNDECLARED: Final = (
    "declared codes, matchers, and verdicts on typical and hostile calls: "
    "they need a manifest.json, in the folder or beside it"
)


@dataclass(frozen=True, slots=True)
class Report(Findings):
    """What is to be said of a folder, by file and line, and which checks were left out, and why."""

    left_out: tuple[str, ...]
    files: int
    seconds: float


def check(
    sources: Sources, *, acknowledge_floor: bool = False, seconds: float = _SECONDS
) -> Report:
    """All that is to be said of these policies, as far as they can be read.

    `acknowledge_floor` makes a warning of what the floor refuses; `seconds` bounds it all. Raises
    EngineError where the system lets no process be started.
    """
    began = time.perf_counter()
    found, left_out = _inspected(sources, acknowledge_floor=acknowledge_floor, seconds=seconds)
    if sources.manifest:
        found += gate.unfit_patterns(sources.manifest)
        counted = sum(item.level == "warning" and item.step != "floor" for item in found)
        found += gate.missed_bounds(sources.manifest, {"max_warnings": counted})
    return Report(
        _ordered(gate.bounded([*sources.problems, *_unfit(sources), *found])),
        tuple(left_out),
        len(sources.modules),
        time.perf_counter() - began,
    )


def _unfit(sources: Sources) -> tuple[Finding, ...]:
    """What keeps the folder from being a bundle; without a manifest nobody means it to be one."""
    if sources.manifest or any(item.step == "manifest" for item in sources.unfit):
        return sources.unfit
    return tuple(replace(item, level="warning") for item in sources.unfit)


def _inspected(
    sources: Sources, *, acknowledge_floor: bool, seconds: float
) -> tuple[list[Finding], list[str]]:
    """What the steps find that can be made, and why others were left out."""
    candidate = _candidate(sources, acknowledge_floor=acknowledge_floor)
    steps, asking, left_out = [*FILES], [], []
    if sources.problems:
        left_out.append(_UNREAD)
    elif sources.manifest:
        steps += [*TOGETHER, *DECLARED]
        asking = [step.__name__ for step in _ASKING.values()]
    else:
        steps += TOGETHER
        left_out.append(_UNDECLARED)
    subject = asdict(candidate)
    with (
        started(gate.CHILD, subject, asking, seconds=seconds) as asked,
        started(_JOB, subject, steps, seconds=seconds) as looked,
    ):
        found, made = gate.collected(looked, steps)
        findings = _causes(found)
        if len(made) < len(steps):
            left_out = [_BROKEN]
        elif asking and can_run(found):
            findings += gate.collected(asked, _ASKING)[0]
        elif asking:
            left_out.append(_UNSOUND)
    return findings, left_out


def _candidate(sources: Sources, *, acknowledge_floor: bool) -> Candidate:
    undeclared = Candidate(
        modules=sources.modules,
        rule_files=tuple(sources.rules),
        data=sources.data,
        acknowledge_floor=acknowledge_floor,
    )
    return gate.declared(undeclared, sources.manifest) if sources.manifest else undeclared


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By place; what concerns no file comes last."""
    return tuple(
        sorted(findings, key=lambda item: (not item.file, item.file, item.line, item.column))
    )


def _causes(findings: Sequence[Finding]) -> list[Finding]:
    """Without what is only said of an expression because it refers to what is not there."""
    broken = {_place(item) for item in findings if item.step == "plan" and item.level == "error"}
    return [item for item in findings if item.step == "plan" or _place(item) not in broken]


def _place(finding: Finding) -> tuple[str, int, int]:
    return finding.file, finding.line, finding.column
