"""The tests that modules hold, and how each of them went.

As OPA finds them (https://www.openpolicyagent.org/docs/policy-testing, and its v1/tester): every
definition of a rule whose name begins with `test_` is a test. Of several with one name each is a
test of its own, `test_x`, `test_x#01`, … A rule with keys, `test_x[note] if …`, holds where it does
for all keys that its body comes to.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from scopebound_engine.errors import InputError
from scopebound_engine.rego.source.syntax import Head, Module, parsed

TEST_FILE: Final = "_test.rego"
# In the name of every test.
MARK: Final = "test_"
_SKIPPED: Final = "todo_test_"
_AGAIN: Final = "__again_"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a variable or reference was when an expression failed, as Rego writes it."""

    text: str
    value: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test went; `outcome` is "passed", "failed", "error" or "skipped".

    `name` is the full path of the rule. Of a failed test `expression` is the first one that does
    not hold together with those before it, `line` is its line instead of the rule's, and `seen` is
    what it saw; `message` says what else is known.
    """

    __test__ = False  # pytest collects classes that are named like tests

    name: str
    file: str
    line: int
    outcome: str = "skipped"
    seconds: float = 0.0
    message: str = ""
    expression: str = ""
    seen: tuple[Seen, ...] = ()

    @property
    def entrypoint(self) -> str:
        """The name as the engine wants it, once definitions are told apart."""
        return self.name.removeprefix("data.").replace(".", "/").replace("#", _AGAIN)

    @property
    def rule(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]

    @property
    def is_skipped(self) -> bool:
        """Whether it says of itself that it is still to be done."""
        return self.rule.startswith(_SKIPPED)


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a test is defined: the head of its rule, and the token that is its name."""

    module: Module
    head: Head
    token: int
    result: TestResult

    @property
    def is_function(self) -> bool:
        """Whether it takes arguments, which nothing gives to a test: to OPA it is undefined."""
        tokens = self.module.source.tokens
        following = tokens[self.token + 1] if self.token + 1 < self.head.end else None
        return (
            following is not None
            and following.text == "("
            and following.start == tokens[self.token].end
        )


def find_tests(modules: Mapping[str, str], pattern: str | None = None) -> list[TestResult]:
    """The tests in these modules that can be run, in order. Raises InputError."""
    wanted = compile_pattern(pattern)
    return [
        found.result
        for found in definitions(modules)
        if wanted.search(found.result.name) and not found.is_function
    ]


def compile_pattern(pattern: str | None) -> re.Pattern[str]:
    """The regular expression that names of tests are searched for. Raises InputError."""
    try:
        return re.compile(pattern or "")
    except re.error as error:
        raise InputError("pattern", f"not a regular expression: {error}") from error


def definitions(modules: Mapping[str, str]) -> Iterator[Definition]:
    """All definitions of tests, in order."""
    counts: Counter[str] = Counter()
    for path, text in modules.items():
        module = parsed(path, text)
        source = module.source
        for head in module.heads:
            token = _named(module, head)
            if token is None:
                continue
            steps = source.tokens[head.start + head.is_default : token + 1 : 2]
            name = ".".join(("data", *source.package, *(step.text for step in steps)))
            line, _ = source.place(source.tokens[head.start].start)
            again = f"#{counts[name]:02}" if counts[name] and not _is_skipped(name) else ""
            counts[name] += 1
            result = TestResult(name.replace(_AGAIN, "#") + again, path, line)
            yield Definition(module, head, token, result)


def told_apart(modules: Mapping[str, str]) -> dict[str, str]:
    """The modules with a name of its own for each definition of a test.

    Those of all modules: which of several has which name depends on the others.
    """
    texts = dict(modules)
    for found in reversed(list(definitions(modules))):
        _, again, number = found.result.name.partition("#")
        token = found.module.source.tokens[found.token]
        if again and _AGAIN not in token.text:
            path = found.result.file
            texts[path] = f"{texts[path][: token.end]}{_AGAIN}{number}{texts[path][token.end :]}"
    return texts


def is_test_file(path: str) -> bool:
    """Whether a module is left out of what servers evaluate."""
    return path.endswith(TEST_FILE)


def _named(module: Module, head: Head) -> int | None:
    """The token of a test's name in the head a.b.test_c; None where no part of it is one."""
    tokens = module.source.tokens
    for index in range(head.start + head.is_default, head.end, 2):
        if tokens[index].text.startswith((MARK, _SKIPPED)):
            return index
        if index + 1 >= head.end or tokens[index + 1].text != ".":
            return None
    return None


def _is_skipped(name: str) -> bool:
    return name.rpartition(".")[2].startswith(_SKIPPED)
