"""Step 10 of the gate: what a policy answers when it is asked, in processes that may die of it."""

from collections.abc import Iterable, Iterator
from typing import Final

from scopebound_engine.bundle.gate import calls
from scopebound_engine.bundle.gate.calls import Case
from scopebound_engine.bundle.gate.candidate import Candidate
from scopebound_engine.bundle.gate.floor import floor
from scopebound_engine.bundle.gate.hostile_calls import hostile
from scopebound_engine.bundle.gate.trial import Answer
from scopebound_engine.errors import Finding, Level
from scopebound_engine.rego.checks import interests

# Tools beyond these, and calls without a verdict beyond those, tell nothing new.
_TOOLS: Final = 12
_TOLD: Final = 5


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
        elif answer.undeclared:
            # The same for every call, so that it is told once.
            message = f"a call is denied with {answer.undeclared}, which the manifest lacks"
            yield Finding("behaviour", message, remedy="declare it there under deny_codes")
        elif answer.problem:
            remedy = "in a rule, test what a value is (is_string, is_number) before it is used"
            yield Finding("behaviour", message, remedy=remedy)
