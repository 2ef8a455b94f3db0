"""Tests compiled together, which answer one by one. In a child process only."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from scopebound_engine.errors import CompileError, EngineError, Finding
from scopebound_engine.rego import frames
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.binary.form import Frame
from scopebound_engine.rego.checks.references import broken_references
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast, compile_plan
from scopebound_engine.rego.forks import Answer
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.rendering import pairs, rendered
from scopebound_engine.rego.sandboxed import OUT_OF_TIME, ending, time_limit
from scopebound_engine.rego.testing.lowering import Lowered, lower

# Values are shown to people.
_WIDTH: Final = 160
_ROWS: Final = 40


@dataclass(frozen=True, slots=True)
class Added:
    """What a plan has been given: how many variables it has now, those that outlive calls, and
    functions that all entrypoints may call, and which call none.
    """

    locals: int
    shared: Sequence[int] = ()
    functions: Sequence[str] = ()


class Suite:
    """Compiled entrypoints. An outcome is "passed", "failed" or "error".

    With it come the seconds taken and the error's message. It is an error, too, to take longer than
    `seconds_each`, which ends the process.
    """

    def __init__(
        self,
        modules: Mapping[str, str],
        data: Mapping[str, Any],
        entrypoints: Sequence[str],
        seconds_each: float,
        *,
        strict: bool = True,
    ) -> None:
        """Raises CompileError; with `strict` also for references to what is not there."""
        self._tests, self._seconds_each = entrypoints, seconds_each
        lowered = lower(modules)
        try:
            document, frame = self._compiled(lowered, data)
        except CompileError as error:
            raise CompileError(error.summary, lowered.placed(error.findings)) from error
        self._plan = Plan(document, lowered.modules)
        if strict and any(True for _ in broken_references(self._plan)):
            found = _with_places(lowered, entrypoints)
            raise CompileError("the tests refer to what is not there", found)
        added = self._instrumented(document, frame, lowered)
        lowered.complete(document)
        callees = {**self._plan.callees, **dict.fromkeys(added.functions, ())}
        places = frames.pack(document, callees, added.shared)
        self._encoder = Encoder(document, replace(frame, locals=places or added.locals))
        self._always = added.functions
        self._loaded: dict[str, LoadedPlan] = {}

    def _compiled(self, lowered: Lowered, data: Mapping[str, Any]) -> tuple[dict[str, Any], Frame]:
        """The plan of all tests. For those who need more of it than whether tests hold."""
        return compile_fast(lowered.modules, self._tests, data)

    def _instrumented(self, _document: dict[str, Any], frame: Frame, _lowered: Lowered) -> Added:
        """Where something may be added to the plan, in place: what was."""
        return Added(frame.locals)

    def _answer(self, plan: LoadedPlan, test: str) -> Answer:
        """What a test gives. Raises EngineError where its evaluation fails."""
        return {"outcome": "passed" if plan.holds(test) else "failed"}

    def groups(self) -> list[list[int]]:
        """The tests by package, those of the most source first, which take longest."""
        sizes: dict[str, int] = {}
        for source in self._plan.sources.values():
            package = "/".join(source.package)
            sizes[package] = sizes.get(package, 0) + len(source.text)
        found: dict[str, list[int]] = {}
        for test, name in enumerate(self._tests):
            found.setdefault(_package(name), []).append(test)
        order = sorted(found, key=lambda package: sizes.get(package, 0), reverse=True)
        return [found[package] for package in order]

    def run(self, test: int) -> Answer:
        """The outcome of a test, by its index among the entrypoints."""
        name = self._tests[test]
        started = time.perf_counter()
        try:
            with time_limit(self._seconds_each):
                answer = {"message": "", **self._answer(self._plan_for(_package(name)), name)}
        except EngineError as error:
            answer = {"outcome": "error", "message": str(error)}
        return {**answer, "seconds": time.perf_counter() - started}

    def value(self, test: int) -> Answer:
        """The value of a test, as "value"; None where it is undefined."""
        return self._looked_at(test, lambda node: {"value": rendered(node, _WIDTH)})

    def rows(self, probe: int) -> Answer:
        """The value of a probe as "rows": pairs of a list of texts and a text."""
        return self._looked_at(probe, lambda node: {"rows": pairs(node, _WIDTH, _ROWS)})

    def _looked_at(self, number: int, look: Callable[[int], Answer]) -> Answer:
        name = self._tests[number]
        try:
            with time_limit(self._seconds_each), self._plan_for(_package(name)).node(name) as node:
                return {} if node is None else look(node)
        except EngineError as error:
            return {"message": str(error)}

    def lost(self, status: int) -> Answer:
        """The outcome of a test whose process ended with this exit code or signal."""
        late = -status in OUT_OF_TIME
        message = f"took longer than {self._seconds_each:g} s" if late else ending(status)
        return {"outcome": "error", "seconds": 0.0, "message": message}

    def _plan_for(self, package: str) -> LoadedPlan:
        # The engine goes over the whole plan for each query, so each package gets one of its own.
        if package not in self._loaded:
            tests = [name for name in self._tests if _package(name) == package]
            starts = ["g0.data." + name.replace("/", ".") for name in tests]
            needed = sorted((*self._plan.reachable(*starts), *self._always))
            self._loaded[package] = LoadedPlan(self._encoder.encode(tests, needed))
        return self._loaded[package]


def _package(entrypoint: str) -> str:
    return entrypoint.rpartition("/")[0]


def _with_places(lowered: Lowered, entrypoints: Sequence[str]) -> list[Finding]:
    plan = Plan(compile_plan(lowered.modules, entrypoints), lowered.modules)
    return lowered.placed(broken_references(plan))
