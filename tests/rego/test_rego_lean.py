"""The plan that evaluators run says what the compiled one says, whatever policies read."""

import os
from collections.abc import Mapping
from typing import Any

import pytest

from scopebound_engine.errors import CompileError, EngineError
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast
from scopebound_engine.rego.lean import Lean, lean
from scopebound_engine.rego.plan import Plan
from tests.rego.random_policies import Author, documents

POLICIES = int(os.environ.get("SCOPEBOUND_TEST_POLICIES", "60"))
INPUTS = 25
ENTRY = "t/all"
DATA = {"cfg": {"a": 1, "b": "x", "c": ["x", "y"], "d": {"e": None}}}


class Pair:
    """A policy as it was compiled, and as evaluators run it."""

    def __init__(self, text: str, data: Mapping[str, Any] = DATA, entry: str = ENTRY) -> None:
        modules = {"t.rego": text} if isinstance(text, str) else text
        document, frame = compile_fast(modules, [entry], data)
        functions = sorted(Plan(document, modules).functions)
        self.plain = LoadedPlan(Encoder(document, frame).encode([entry], functions))
        self.lean: Lean = lean(*compile_fast(modules, [entry], data), modules, [entry])
        self.loaded, self.entry = LoadedPlan(self.lean.plan), entry

    def answers(self, facts: Mapping[str, Any]) -> tuple[Any, Any]:
        return (
            answer(self.plain, self.entry, facts),
            answer(self.loaded, self.entry, self.lean.input(facts)),
        )


def answer(plan: LoadedPlan, entry: str, value: Any) -> Any:
    """The value, which may be 1 where another is true, or why there is none."""
    try:
        plan.set_input(value)
        return repr(plan.value(entry))
    except EngineError as error:
        plan.forget()
        return f"{type(error).__name__}: {error}"


def compilable(seed: int) -> tuple[str, Pair]:
    """A policy that the engine compiles: not all that the dice write has a meaning."""
    for attempt in range(50):
        text = Author(seed * 1_000 + attempt).policy()
        try:
            return text, Pair(text)
        except CompileError:
            continue
    raise AssertionError("no policy of fifty compiles")


@pytest.mark.parametrize("seed", range(POLICIES))
def test_random_policies_say_the_same(seed: int) -> None:
    text, pair = compilable(seed)
    for facts in documents(seed, INPUTS):
        plain, shortened = pair.answers(facts)
        assert shortened == plain, f"{text}\n{facts}"


def test_the_random_policies_do_have_answers() -> None:
    found = [
        pair.answers(facts)[0]
        for seed in range(10)
        for pair in [compilable(seed)[1]]
        for facts in documents(seed, INPUTS)
    ]
    answered = [one for one in found if not one.startswith("EvaluationError")]
    assert len(answered) > len(found) / 4
    assert len({*answered}) > len(answered) / 8


def test_many_of_them_have_slots() -> None:
    assert sum(compilable(seed)[1].lean.slots is not None for seed in range(20)) >= 8
