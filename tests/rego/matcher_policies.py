"""Random policies that judge two matchers in every way that rules can be put together."""

import random
from collections.abc import Callable

WORDS = ("absent", "unfit", "yes", "no")
HEAD = """package t
decision := {"allow": allow, "violations": [v | some v in violation]}
default allow := false
allow if { granted; count(violation) == 0 }
a_word := input.matches.a
b_word := input.matches.b
"""


def violation(reason: str = '"r"') -> str:
    """The head of a rule that denies."""
    return (
        'violation contains {"code": "X", "severity": "low", '
        f'"reason": {reason}, "retry_guidance": "none"}}'
    )


class _Policy:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._helpers: list[str] = []
        self._texts: list[str] = []

    def one_of(self, *choices: str | Callable[[], str]) -> str:
        chosen = self._random.choice(choices)
        return chosen if isinstance(chosen, str) else chosen()

    def word(self) -> str:
        return f'"{self.one_of(*WORDS)}"'

    def words(self) -> str:
        count = self._random.randint(1, 3)
        return ", ".join(f'"{word}"' for word in self._random.sample(WORDS, count))

    def answer(self) -> str:
        name = self.one_of("a", "b")
        plain = f"input.matches.{name}"
        return self.one_of(
            plain, plain, plain, f"{name}_word", f'object.get(input.matches, "{name}", "no")'
        )

    def comparison(self) -> str:
        one, other, word = self.answer(), self.answer(), self.word()
        return self.one_of(
            f"{one} == {word}",
            f"{one} == {word}",
            f"{one} != {word}",
            f"{one} != {word}",
            f"{one} in [{self.words()}]",
            f"{one} in {{{self.words()}}}",
            f"{word} in [{one}, {other}]",
            f"some m in [{one}, {other}]; m != {word}",
            f"every m in [{one}, {other}] {{ m == {word} }}",
            f"every m in [{one}, {other}] {{ m != {word} }}",
            f"some _, m in input.matches; m == {word}",
            f"q := {one}; q == {word}",
            f"known({one})",
            f"count({{1 | {one} == {word}}}) {self.one_of('> 0', '== 0')}",
        )

    def condition(self) -> str:
        if not self._helpers or self._random.random() < 0.5:
            return self.one_of(*[self.comparison] * 6, 'input.tool_name == "x"')
        helper = self._random.choice(self._helpers)
        text = f'{self.one_of(*self._texts)} == "p"' if self._texts else helper
        return self.one_of(
            helper, helper, f"not {helper}", f"not {helper}", f"{helper} == true", text
        )

    def body(self) -> str:
        conditions = [self.condition() for _ in range(self._random.randint(1, 2))]
        return f"{{ {'; '.join(conditions)} }}"

    def helper(self, name: str) -> str:
        boolean = [self.one_of("true", "false") for _ in range(3)]
        made = self.one_of(
            lambda: f"{name} if {self.body()}",
            lambda: f"{name} if {self.body()}\n{name} if {self.body()}",
            lambda: f"{name} if {self.body()} else if {self.body()}",
            lambda: f"default {name} := false\n{name} if {self.body()}",
            lambda: f"{name} := {boolean[0]} if {self.body()} else := {boolean[1]}",
            lambda: (
                f"{name} := {boolean[0]} if {self.body()} else := {boolean[1]} if {self.body()} "
                f"else := {boolean[2]}"
            ),
        )
        self._helpers.append(name)
        return made

    def text(self, name: str) -> str:
        made = self.one_of(
            lambda: f'{name} := "p" if {self.body()} else := "q"',
            lambda: f'{name} := "p" if {self.body()} else := "q" if {self.body()}',
        )
        self._texts.append(name)
        return made

    def source(self) -> str:
        rules = [f"known({word})" for word in self.words().split(", ")]
        rules += [self.helper(f"h{index}") for index in range(self._random.randint(1, 3))]
        rules += [self.text(f"t{index}") for index in range(self._random.randint(0, 2))]
        for _ in range(self._random.randint(0, 2)):
            shown = self.one_of('"r"', *self._texts, f'sprintf("%s", [{self.answer()}])')
            rules.append(f"{violation(shown)} if {self.body()}")
        rules.append(f'{violation()} if input.tool_name == "z"')
        rules.append(
            self.one_of('granted if input.tool_name in ["x", "y"]', f"granted if {self.body()}")
        )
        return HEAD + "\n".join(rules)


def random_policy(seed: int) -> str:
    """The source of a policy in package t that allows or denies tools x and y by matchers a, b."""
    return _Policy(seed).source()
