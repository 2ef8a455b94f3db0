"""The smallest change that turns a denial into an allow, verified by the policy itself.

Each candidate's facts are made anew and decided by real evaluators. What the caller can do comes
before waiting, that before a new session, that before another role; of what one of them can do, one
change before several. Several are found greedily: at each step the change after which the fewest
violations are left. In the end those are left out that were not needed.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine.author.explaining.candidates import (
    arguments,
    callers,
    compared,
    moments,
    roles,
)
from scopebound_engine.author.explaining.candidates.callers import Constraints
from scopebound_engine.author.explaining.candidates.change import LEVELS, Change
from scopebound_engine.author.explaining.world import Document, Edit, remade
from scopebound_engine.author.facts_file import fits
from scopebound_engine.author.subject import Subject
from scopebound_engine.errors import EvaluationError
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.rego.tracing.told import Fired
from scopebound_engine.strict_json import dumps
from scopebound_engine.verdict import Verdict

MOST_EVALUATIONS: Final = 400
_STEPS: Final = 8
_SECONDS: Final = 10.0
_ROLE: Final = LEVELS["role"]


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What turns the denial, smallest first, and the facts that are allowed then."""

    changes: tuple[Change, ...]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """`smallest` is by whoever can do it soonest; `by_role` is by another role alone.

    None where there is none among what was tried. `evaluations` is how much that was, `complete`
    whether all that was to be tried could be, and `unlike` says that the facts are not as the
    service makes them.
    """

    smallest: Counterfactual | None
    by_role: Counterfactual | None
    evaluations: int
    complete: bool
    unlike: str = ""


class _ExhaustedError(Exception):
    """As much was evaluated as may be, or it took as long as it may."""


class Search:
    """Looks for changes to one denial. `known` are the role's constraints by tool, if had."""

    def __init__(
        self,
        subject: Subject,
        pool: EvaluatorPool,
        known: Constraints | None = None,
        *,
        most: int = MOST_EVALUATIONS,
        deadline: float | None = None,
    ) -> None:
        """`deadline` is a time of `time.monotonic()`."""
        self._pool, self._known, self._most = pool, known, most
        self._manifest, self._matchers = subject.manifest, subject.matchers()
        self._deadline = deadline if deadline is not None else time.monotonic() + _SECONDS
        self._decided: dict[bytes, Verdict | None] = {}

    def find(self, document: Document, fired: Sequence[Fired]) -> Found:
        """For facts that are denied, and the rules that did it."""
        if not fits(document):
            unlike = "these facts do not fit the schema, so that the service cannot make others"
            return Found(None, None, 0, complete=True, unlike=unlike)
        try:
            base = remade(document, (), self._matchers)
            verdict = self._decide(base)
        except _ExhaustedError:
            return Found(None, None, len(self._decided), complete=False)
        if verdict is None or verdict.allow:
            unlike = "the service would make other facts of this call, which are not denied"
            return Found(None, None, len(self._decided), complete=True, unlike=unlike)
        smallest = by_role = None
        complete = True
        try:
            smallest = next(filter(None, (self._level(base, fired, n) for n in _levels())), None)
            by_role = smallest
            if smallest is None or any(one.kind != "role" for one in smallest.changes):
                by_role = self._within(base, fired, frozenset((_ROLE,)))
        except _ExhaustedError:
            complete = False
        return Found(smallest, by_role, len(self._decided), complete)

    def _level(self, base: Document, fired: Sequence[Fired], level: int) -> Counterfactual | None:
        return self._within(base, fired, frozenset(range(level + 1)))

    def _within(
        self, base: Document, fired: Sequence[Fired], levels: frozenset[int]
    ) -> Counterfactual | None:
        """By changes of these levels alone."""
        done: list[Change] = []
        current, left = base, _count(self._decide(base))
        for _ in range(_STEPS):
            best: tuple[int, Change, dict[str, Any]] | None = None
            for change in self._candidates(current, fired, levels):
                changed = self._after(base, [*done, change])
                verdict = self._decide(changed)
                if verdict is not None and verdict.allow:
                    return self._pruned(base, [*done, change])
                if verdict is not None and _count(verdict) < (best[0] if best else left):
                    best = _count(verdict), change, changed
            if best is None:
                return None
            left, change, current = best
            done.append(change)
        return None

    def _candidates(
        self, document: Document, fired: Sequence[Fired], levels: frozenset[int]
    ) -> list[Change]:
        """All that is worth trying, in order; what has the same effect as another only once."""
        found: dict[bytes, Change] = {}
        for change in self._all(document, fired):
            if change.level in levels:
                effect = dumps([[list(edit.path), repr(edit.value)] for edit in change.edits])
                if effect not in found or found[effect].cost > change.cost:
                    found[effect] = change
        return sorted(found.values(), key=lambda change: (change.level, change.cost))

    def _all(self, document: Document, fired: Sequence[Fired]) -> Iterator[Change]:
        yield from arguments.changes(document)
        yield from callers.changes(document, self._known)
        yield from moments.changes(document)
        yield from roles.changes(document)
        yield from compared.changes(document, fired, self._manifest)

    def _after(self, base: Document, done: Iterable[Change]) -> dict[str, Any]:
        edits: list[Edit] = [edit for change in done for edit in change.edits]
        return remade(base, edits, self._matchers)

    def _pruned(self, base: Document, done: list[Change]) -> Counterfactual:
        """Without the changes that a later one made needless."""
        for change in list(done):
            without = [one for one in done if one is not change]
            if not without or _goes_on_in(change, done):
                continue
            verdict = self._decide(self._after(base, without))
            if verdict is not None and verdict.allow:
                done = without
        return Counterfactual(tuple(done), self._after(base, done))

    def _decide(self, document: dict[str, Any] | Document) -> Verdict | None:
        """The policy's verdict; None where it gives none."""
        key = dumps(document)
        if key not in self._decided:
            late = time.monotonic() >= self._deadline
            if late or len(self._decided) >= self._most:
                raise _ExhaustedError
            self._decided[key] = _verdict(self._pool, document, self._deadline)
        return self._decided[key]


def _levels() -> Iterable[int]:
    return sorted({*LEVELS.values()})


def _goes_on_in(change: Change, done: Sequence[Change]) -> bool:
    """Whether a later change of the role holds this one as well: its lists are made of it."""
    later = done[done.index(change) + 1 :]
    paths = {edit.path for edit in change.edits}
    return change.kind == "role" and any(edit.path in paths for one in later for edit in one.edits)


def _count(verdict: Verdict | None) -> int:
    return 0 if verdict is None else len(verdict.violations)


def _verdict(pool: EvaluatorPool, document: Document, deadline: float) -> Verdict | None:
    try:
        return pool.evaluate(document, deadline)
    except EvaluationError:
        return None
