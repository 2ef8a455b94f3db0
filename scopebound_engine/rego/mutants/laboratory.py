"""Mutants and tests compiled together: each test can be asked about each mutant.

In a child process only. A mutant takes the place of the function that its rule was compiled to, in
a plan of its own, which is made and loaded in a few milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from scopebound_engine.rego import frames
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast
from scopebound_engine.rego.mutants.functions import Functions
from scopebound_engine.rego.mutants.grafts import graft
from scopebound_engine.rego.mutants.mutation import Mutation
from scopebound_engine.rego.source.syntax import parsed
from scopebound_engine.rego.testing.cases import is_test_file
from scopebound_engine.rego.testing.dependencies import needed
from scopebound_engine.rego.testing.lowering import lower

# The number of no mutant: the policy as it is.
_NONE: Final = -1


class Laboratory:
    """Compiled tests, by entrypoint, and mutants, by number."""

    def __init__(
        self,
        modules: Mapping[str, str],
        data: Mapping[str, Any],
        tests: Sequence[str],
        mutations: Mapping[int, Mutation],
    ) -> None:
        """Raises CompileError."""
        self._modules, self._data, self._mutations = modules, data, mutations
        lowered = lower(graft(modules, mutations))
        document, frame = compile_fast(lowered.modules, tests, data)
        lowered.complete(document)
        self._functions = Functions(
            document, {number: item.path for number, item in mutations.items()}
        )
        places = frames.pack(document, self._functions.callees)
        # Loaded a thousand times, where the text of all mutants would take longer than they do.
        lean = replace(frame.without_files(), locals=places or frame.locals)
        self._encoder = Encoder(document, lean)
        self._number = _NONE
        self._loaded: dict[str, LoadedPlan] = {}
        self._packages: dict[str, list[str]] = {}
        for test in tests:
            self._packages.setdefault(_package(test), []).append(test)
        self._needed = {
            package: sorted(self._functions.needed(map(_function, tests)))
            for package, tests in self._packages.items()
        }

    def holds(self, test: str, number: int = _NONE) -> bool:
        """Whether a test passes with a mutant. Raises EngineError where its evaluation fails."""
        if number != self._number:
            # One mutant after the other: none is asked for again.
            self._number, self._loaded = number, {}
        package = _package(test)
        if package not in self._loaded:
            self._loaded[package] = self._plan(number, package)
        return self._loaded[package].holds(test)

    def _plan(self, number: int, package: str) -> LoadedPlan:
        # The engine goes over the whole plan for each query, so each package gets one of its own.
        tests, functions = self._packages[package], self._needed[package]
        if number == _NONE:
            return LoadedPlan(self._encoder.encode(tests, functions))
        changed = self._functions.instead(number, functions)
        if changed is None:
            return self._compiled(number, package)
        return LoadedPlan(self._encoder.encode(tests, functions, changed))

    def _compiled(self, number: int, package: str) -> LoadedPlan:
        """A mutant whose function has not the calls of those that it would replace."""
        mutation, tests = self._mutations[number], self._packages[package]
        changed = dict(self._modules)
        changed[mutation.file] = mutation.applied(changed[mutation.file])
        others = [
            path
            for path, text in changed.items()
            if is_test_file(path) and "/".join(parsed(path, text).source.package) != package
        ]
        lowered = lower(needed(changed, others))
        document, frame = compile_fast(lowered.modules, tests, self._data)
        lowered.complete(document)
        names = [function["name"] for function in document["funcs"]["funcs"]]
        return LoadedPlan(Encoder(document, frame).encode(tests, names))


def _package(test: str) -> str:
    return test.rpartition("/")[0]


def _function(test: str) -> str:
    return "g0.data." + test.replace("/", ".")
