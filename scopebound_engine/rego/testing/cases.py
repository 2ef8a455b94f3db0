"""The tests that modules hold, and how each of them went."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from scopebound_engine.errors import InputError
from scopebound_engine.rego.source.syntax import parsed

# In the name of every test.
MARK: Final = "test_"
_SKIPPED: Final = "todo_test_"


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test went; `outcome` is "passed", "failed", "error" or "skipped".

    `name` is the full path of the rule. Of a failed test `expression` is the first one that does
    not hold together with those before it, and `line` is its line instead of the rule's.
    """

    __test__ = False  # pytest collects classes that are named like tests

    name: str
    file: str
    line: int
    outcome: str = "skipped"
    seconds: float = 0.0
    message: str = ""
    expression: str = ""

    @property
    def entrypoint(self) -> str:
        """The name as the engine wants it."""
        return self.name.removeprefix("data.").replace(".", "/")

    @property
    def rule(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]

    @property
    def is_skipped(self) -> bool:
        """Whether it says of itself that it is still to be done."""
        return self.rule.startswith(_SKIPPED)


def find_tests(modules: Mapping[str, str], pattern: str | None = None) -> list[TestResult]:
    """The tests in these modules, in order, none of them run. Raises InputError."""
    wanted = compile_pattern(pattern)
    return [test for test in _tests(modules) if wanted.search(test.name)]


def compile_pattern(pattern: str | None) -> re.Pattern[str]:
    """The regular expression that names of tests are searched for. Raises InputError."""
    try:
        return re.compile(pattern or "")
    except re.error as error:
        raise InputError("pattern", f"not a regular expression: {error}") from error


def _tests(modules: Mapping[str, str]) -> Iterator[TestResult]:
    for path, text in modules.items():
        module = parsed(path, text)
        source = module.source
        seen: set[str] = set()
        for rule in module.heads:
            if rule.name in seen or not rule.name.startswith((MARK, _SKIPPED)):
                continue
            seen.add(rule.name)
            line, _ = source.place(source.tokens[rule.start].start)
            yield TestResult(".".join(("data", *source.package, rule.name)), path, line)
