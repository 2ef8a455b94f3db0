"""Policies that read facts in every way there is, written by dice, and inputs that fit them."""

import random
from collections.abc import Iterator
from typing import Any

SCALARS = [0, 1, 2.5, -1, 1e-9, 1 << 70, "", "x", "a", 'é\n"', True, False, None]
LITERALS = ["0", "1", '"x"', '"a"', "true", "false", "null", "[]", "{}"]
KINDS = ["string", "number", "boolean", "array", "object", "null", "set"]
KEYS = ["a", "b", "c", "d"]


class Author:
    """Writes one policy, whose rule `all` has the values of its rules r0, r1, …

    Rules read helpers h0, h1, … written before them, and functions g0, g1, … of one parameter.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names: list[str] = []
        self.functions: list[str] = []
        # One use of the whole input, and the plan has no slots.
        self.is_open = self.random.random() < 0.2

    def policy(self) -> str:
        lines = []
        for number in range(3):
            lines.append(self.helper(f"h{number}"))
            self.names.append(f"h{number}")
            lines.append(self.function(f"g{number}"))
            self.functions.append(f"g{number}")
        rules = [self.rule(number) for number in range(6)]
        gathered = "\n".join(f'all["r{n}"] := r{n}' for n in range(6))
        return "package t\nimport rego.v1\n" + "\n".join([*lines, *rules, gathered]) + "\n"

    def helper(self, name: str) -> str:
        return self.random.choice(
            [
                f"{name} := {self.ref()}",
                f"{name} := {self.ref()} if {{ {self.condition()} }}",
                f"{name} := input",
                f"{name} := [call.{self.key()} | call := input; {self.condition('call')}]",
                f"{name} := {self.ref()} if {{ {self.condition()} }} else := {self.ref()}",
                f"default {name} := {self.literal()}\n"
                f"{name} := {self.ref()} if {{ {self.condition()} }}",
                f"{name} if {{ {self.condition()} }}",
                f"{name} if {{ {self.condition()}; {self.condition()} }}",
                f"{name} := {self.literal()} if {{ {self.condition()} }}",
                f"{name} := v if {{ v := {self.ref()}; {self.condition('v')} }}\n"
                f"{name} := v if {{ v := {self.ref()}; {self.condition('v')} }}",
                f"{name} contains x if {{ some x in {self.ref()}; {self.condition('x')} }}",
                f"{name} contains {self.value()} if {{ {self.condition()} }}",
                f"{name}[k] := v if {{ some k, v in {self.ref()} }}",
                f"{name}[k].{self.key()} := v if {{ some k, v in {self.ref()} }}",
                f"{name}.a := {self.value()}\n{name}.b.{self.key()} := {self.ref()} if input.a",
                f"{name} := {self.value()}",
                f"{name} := {{k: v | some k, v in {self.ref()}; {self.condition('v')}}}",
                f"{name} := v if {{ {self.pattern('v')} = {self.ref()} }}",
                f"{name} := v if {{ some k in {self.keys()}; v := {self.ref()}[k] }}",
                f"{name} := [v | some k in {self.keys()}; v := {self.ref()}[k]]",
            ]
        )

    def function(self, name: str) -> str:
        inner, pick = f"{name}_", self.random.choice
        clauses = [
            f"{name}(p) := p.{self.key()} if {{ {self.condition('p')} }}\n"
            f"{name}(p) := p if not p.{self.key()}",
            f"{name}(p) := p.{self.key()} if {{ {self.condition('p')} }} else := {self.ref()}",
            f"{name}({self.literal()}) := {self.ref()}\n{name}({{}}) := {self.ref()}",
            f"{name}({self.pattern('q')}) := q",
            f"{name}(p) if {{ {self.condition('p')} }}",
            f"default {name}(_) := {self.literal()}\n{name}(p) if {{ {self.condition('p')} }}",
            f"{name}(_) := {self.ref()} if {{ {self.condition()} }}",
            f"{name}(p) := {inner}(q) if q := p.{self.key()}\n"
            f"{inner}(p) := p\n{inner}2(p) := [{self.ref()}, p.{self.key()}]",
        ]
        return str(pick([*clauses, clauses[-1]]))

    def rule(self, number: int) -> str:
        name, pick = f"r{number}", self.random.choice
        conditions = "; ".join(self.condition() for _ in range(pick([1, 2, 3])))
        value = pick([self.ref(), self.literal(), "true", self.value()])
        return pick(
            [
                f"{name} := {value} if {{ {conditions} }}",
                f"{name} := {value} if {{ {conditions} }} else := {self.ref()}",
                f"default {name} := 7\n{name} := {value} if {{ {conditions} }}",
                f"{name} contains {value} if {{ {conditions} }}",
                f"{name} contains x if {{ x := {self.ref()}; {self.condition('x')} }}",
                f"{name} := v if {{ v := {self.ref()} {self.replacement()} }}",
            ]
        )

    def replacement(self) -> str:
        """What of the policy is another in one expression."""
        name = self.random.choice(self.functions)
        whole = [f"with {name} as {self.literal()}", f"with is_{self.kind()} as {self.literal()}"]
        return self.random.choice(
            [
                f"with {name}_ as {name}_2",
                f"with {name}_ as {name}_2",
                f"with {name} as {self.random.choice(self.functions)}",
                *(whole if self.is_open else ()),
            ]
        )

    def kind(self) -> str:
        return self.random.choice(KINDS)

    def key(self) -> str:
        return self.random.choice(KEYS)

    def keys(self) -> str:
        return f'["{self.key()}", {self.random.choice([self.ref(), *LITERALS])}]'

    def literal(self) -> str:
        return self.random.choice(LITERALS)

    def value(self) -> str:
        one, other = self.ref(), self.ref()
        return self.random.choice(
            [
                f"[{one}, {other}]",
                f'{{"{self.key()}": {one}}}',
                f"{{{one}, {other}}}",
                f"{one} == {other}",
            ]
        )

    def pattern(self, name: str) -> str:
        key, other = self.random.sample(KEYS, 2)
        return self.random.choice(
            [
                f'{{"{key}": {name}}}',
                f'{{"{key}": {name}, "{other}": _}}',
                f"[{name}]",
                f"[{name}, _]",
                f'{{"{key}": [{name}, {self.literal()}]}}',
            ]
        )

    def ref(self) -> str:
        path = "".join(f".{self.key()}" for _ in range(self.random.choice([0, 1, 1, 2])))
        fact = f"input.{self.key()}{path}"
        return self.random.choice(
            [
                *(fact, fact, fact),
                f"h0[{self.literal()}]{path}" if self.names else f"input.a[{self.literal()}]",
                f'input["{self.key()}"]{path}',
                f"input[`{self.key()}`]{path}",
                f"data.cfg.{self.key()}{path}",
                f'object.get({fact}, "{self.key()}", {self.literal()})',
                f'{fact}["\\u006{self.random.randrange(1, 5)}"]',
                *(self.whole(path) if self.is_open else ()),
                *(f"{name}{path}" for name in self.names),
                *(f"{name}({fact})" for name in self.functions),
            ]
        )

    def whole(self, path: str) -> list[str]:
        """Facts that no path leads to."""
        return [
            f'input["\\u006{self.random.randrange(1, 5)}"]{path}',
            f"input[{self.literal()}]{path}",
            f'object.get(input, ["{self.key()}", "{self.key()}"], {self.literal()})',
            *(f"{name}(input)" for name in self.functions),
        ]

    def condition(self, name: str | None = None) -> str:
        ref = name or self.ref()
        if name and self.random.random() < 0.5:
            ref = f"{name}.{self.key()}"
        kind, fresh = self.kind(), self.random.randrange(10**6)
        return self.random.choice(
            [
                ref,
                f"not {ref}",
                f"{ref} == {self.literal()}",
                f"{ref} != {self.ref()}",
                f"{ref} = {self.ref()}",
                f"not {ref} == {self.literal()}",
                f"is_{kind}({ref})",
                f"not is_{kind}({ref})",
                f"is_{kind}({ref}) == {self.literal()}",
                f'type_name({ref}) == "{kind}"',
                f"{self.literal()} in {ref}",
                f"{ref} in [{self.ref()}, {self.literal()}]",
                f"some k{fresh}, _ in {ref}",
                f"{self.pattern(f'v{fresh}')} = {ref}",
                f"every e in {ref} {{ e == {self.literal()} }}",
                f"every k, e in {ref} {{ not {self.ref()}[k] == e }}",
                f"every e in {ref} {{ not count([y | some y in e; y != {self.ref()}]) > 0 }}",
                f"count([y | some y in {ref}; y != {self.literal()}]) > 0",
                f"{{y | some y in {ref}}} == {{{self.literal()}, {self.ref()}}}",
                f"{{{ref}, {self.literal()}}} == {{{self.ref()}}}",
                f"{self.ref()}[{self.ref()}]",
                f"{ref} >= {self.literal()}",
            ]
        )


def documents(seed: int, count: int) -> Iterator[dict[str, Any]]:
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
    for _ in range(count):
        yield {key: value(3) for key in KEYS if chance.random() < 0.8}
