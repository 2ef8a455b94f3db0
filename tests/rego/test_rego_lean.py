"""The plan that evaluators run says what the compiled one says, whatever policies read."""

import os
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from scopebound_engine.errors import CompileError, EngineError
from scopebound_engine.rego.binary import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast
from scopebound_engine.rego.lean import Lean, lean
from scopebound_engine.rego.plan import Plan

POLICIES = int(os.environ.get("SCOPEBOUND_TEST_POLICIES", "60"))
INPUTS = 25
ENTRY = "t/all"
DATA = {"cfg": {"a": 1, "b": "x", "c": ["x", "y"], "d": {"e": None}}}
SCALARS = [0, 1, 2.5, -1, "", "x", "a", 'é\n"', True, False, None]
LITERALS = ["0", "1", '"x"', '"a"', "true", "false", "null", "[]", "{}"]
KEYS = ["a", "b", "c", "d"]


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


class Author:
    """Writes policies that read facts in every way there is."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names: list[str] = []

    def policy(self) -> str:
        lines = [self.helper(number) for number in range(4)]
        rules = [self.rule(number) for number in range(6)]
        gathered = "\n".join(f'all["r{n}"] := r{n}' for n in range(6))
        return "package t\nimport rego.v1\n" + "\n".join([*lines, *rules, gathered]) + "\n"

    def helper(self, number: int) -> str:
        name = f"h{number}"
        text = self.random.choice(
            [
                f"{name} := {self.ref()}",
                f"{name} := {self.ref()} if {self.condition()}",
                f"{name} := input",
                f"{name} := [call.{self.key()} | call := input; {self.condition('call')}]",
                f"{name} := {self.ref()} if {{ {self.condition()} }} else := {self.ref()}",
                f"default {name} := {self.literal()}\n{name} := {self.ref()} if {self.condition()}",
                f"{name} if {self.condition()}",
                f"{name} if {{ {self.condition()}; {self.condition()} }}",
                f"{name} contains x if {{ some x in {self.ref()}; {self.condition('x')} }}",
                f"{name}[k] := v if {{ some k, v in {self.ref()} }}",
                f"{name} := f{number}({self.ref()}, {self.ref()})\n"
                f"f{number}(p, q) := p.{self.key()} if {{ {self.condition('q')} }}\n"
                f"f{number}(p, q) := q if not p.{self.key()}",
            ]
        )
        self.names.append(name)
        return text

    def rule(self, number: int) -> str:
        name, pick = f"r{number}", self.random.choice
        conditions = "; ".join(self.condition() for _ in range(pick([1, 2, 3])))
        value = pick([self.ref(), self.literal(), "true", f"[{self.ref()}, {self.ref()}]"])
        return pick(
            [
                f"{name} := {value} if {{ {conditions} }}",
                f"{name} := {value} if {{ {conditions} }} else := {self.ref()}",
                f"default {name} := 7\n{name} := {value} if {{ {conditions} }}",
                f"{name} contains {value} if {{ {conditions} }}",
                f"{name} contains x if {{ x := {self.ref()}; {self.condition('x')} }}",
            ]
        )

    def key(self) -> str:
        return self.random.choice(KEYS)

    def literal(self) -> str:
        return self.random.choice(LITERALS)

    def ref(self) -> str:
        path = "".join(f".{self.key()}" for _ in range(self.random.choice([0, 1, 1, 2])))
        return self.random.choice(
            [
                f"input.{self.key()}{path}",
                f"input.{self.key()}{path}",
                f"h0[{self.literal()}]{path}" if self.names else f"input.a[{self.literal()}]",
                f'input["{self.key()}"]{path}',
                f"data.cfg.{self.key()}{path}",
                *(f"{name}{path}" for name in self.names),
            ]
        )

    def condition(self, name: str | None = None) -> str:
        ref = name or self.ref()
        if name and self.random.random() < 0.5:
            ref = f"{name}.{self.key()}"
        kind = self.random.choice(["string", "number", "boolean", "array", "object", "null", "set"])
        return self.random.choice(
            [
                ref,
                f"not {ref}",
                f"{ref} == {self.literal()}",
                f"{ref} != {self.ref()}",
                f"not {ref} == {self.literal()}",
                f"is_{kind}({ref})",
                f"not is_{kind}({ref})",
                f"{self.literal()} in {ref}",
                f"some k{self.random.randrange(10**6)}, _ in {ref}",
                f"every e in {ref} {{ e == {self.literal()} }}",
                f"count([y | some y in {ref}; y != {self.literal()}]) > 0",
                f"{self.ref()}[{self.ref()}]",
            ]
        )


def documents(seed: int) -> Iterator[dict[str, Any]]:
    """Inputs of few keys and values, so that what rules look for is often there."""
    chance = random.Random(seed)

    def value(depth: int) -> Any:
        kind = chance.randrange(4)
        if depth == 0 or kind == 0:
            return chance.choice(SCALARS)
        if kind == 1:
            return [value(depth - 1) for _ in range(chance.randrange(3))]
        return {key: value(depth - 1) for key in KEYS if chance.random() < 0.6}

    yield {}
    for _ in range(INPUTS):
        yield {key: value(3) for key in KEYS if chance.random() < 0.8}


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
    for facts in documents(seed):
        plain, shortened = pair.answers(facts)
        assert shortened == plain, f"{text}\n{facts}"


def test_the_random_policies_do_have_answers() -> None:
    found = [
        pair.answers(facts)[0]
        for seed in range(10)
        for pair in [compilable(seed)[1]]
        for facts in documents(seed)
    ]
    answered = [one for one in found if not one.startswith("EvaluationError")]
    assert len(answered) > len(found) / 4
    assert len({*answered}) > len(answered) / 8


def test_many_of_them_have_slots() -> None:
    assert sum(compilable(seed)[1].lean.slots is not None for seed in range(20)) >= 8
