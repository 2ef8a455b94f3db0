"""What became of each mutant of a policy, and what that says of its tests."""

import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from scopebound_engine.errors import Finding
from scopebound_engine.rego.mutants.mutation import Kind, Mutation

Outcome = Literal["killed", "survived", "unreached", "equivalent", "refused"]

# What kind of test notices a fault, by its kind; {rule} is the rule's name.
_ADVICE: Final[dict[Kind, str]] = {
    "condition dropped": (
        "a test where only this condition does not hold and all others do, so that {rule} comes out"
        " differently without it"
    ),
    "negation dropped": "a test for each side of the condition that expects what {rule} then gives",
    "absence overlooked": "a test without the very fact that is checked",
    "check weakened": "a test with a value of another type, and not only null",
    "comparison shifted": "a test where both sides are equal",
    "comparison blurred": "a test with a name of another case, and one that is longer by a letter",
    "operator changed": "a test that pins what is computed, with operands other than 0 and 1",
    "number changed": "a test at the very number, and one beside it",
    "text changed": "a test that compares the text as a whole",
    "boolean changed": "a test for each of the two values",
    "element dropped": "a test that needs just this element",
    "clause deleted": "a test where this clause of {rule} alone decides",
    "branch deleted": "a test where this branch of {rule} decides, and which expects its value",
    "default dropped": "a test where no clause of {rule} holds, and which expects the default",
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mutation and how it fared.

    `tests` are those that come to its rule; `killers` those that noticed it, in the order in which
    they were run, as far as they were looked for. `message` says how the first did where it did not
    just fail; `alone` that all tests were run and one noticed it. `reason` is why it is equivalent
    to the policy as it is. "refused" is what does not compile.
    """

    mutation: Mutation
    outcome: Outcome
    tests: tuple[str, ...] = ()
    killers: tuple[str, ...] = ()
    message: str = ""
    alone: bool = False
    reason: str = ""
    diff: str = ""

    @property
    def advice(self) -> str:
        """What kind of test would kill it, in a sentence."""
        name = self.mutation.path[-1]
        test = _ADVICE[self.mutation.kind].format(rule=name)
        return f"kill it with {test}" if self.tests else f"no test comes to {name}; write {test}"


@dataclass(frozen=True)
class Score:
    """All mutants, in the order of the files, and what they tell.

    `tests` are the names of all tests; `findings` are what is wrong with the list of equivalents.
    """

    mutants: tuple[Mutant, ...]
    tests: tuple[str, ...]
    findings: tuple[Finding, ...]
    seconds: float

    def of(self, *outcomes: Outcome) -> list[Mutant]:
        """The mutants that fared like that."""
        return [mutant for mutant in self.mutants if mutant.outcome in outcomes]

    @cached_property
    def survivors(self) -> list[Mutant]:
        """Those that no test notices and that nobody has explained."""
        return self.of("survived", "unreached")

    @cached_property
    def percent(self) -> float:
        """Killed ones among all but the equivalent, in percent; 100 where there are none."""
        killed = len(self.of("killed"))
        all_of_them = killed + len(self.survivors)
        return 100.0 * killed / all_of_them if all_of_them else 100.0

    @cached_property
    def untested(self) -> list[Mutant]:
        """For each rule of which no test notices any mutant, the first of these."""
        noticed = {mutant.mutation.rule for mutant in self.of("killed")}
        first = {mutant.mutation.rule: mutant for mutant in reversed(self.survivors)}
        return [
            mutant
            for mutant in self.survivors
            if first[mutant.mutation.rule] is mutant and mutant.mutation.rule not in noticed
        ]

    @property
    def kills(self) -> int:
        """The pairs of a mutant and a test that notices it, as far as they were looked for."""
        return sum(len(mutant.killers) for mutant in self.mutants)

    @cached_property
    def redundant(self) -> list[str]:
        """The tests that are not the only killer of any mutant: without one of them the score would
        be the same. To be believed only where more than one killer was looked for.
        """
        needed = {mutant.killers for mutant in self.of("killed") if mutant.alone}
        return [test for test in self.tests if (test,) not in needed]


def diff(mutation: Mutation, source: str, path: str) -> str:
    """A mutation as a unified diff of the file at `path`."""
    before = source.splitlines(keepends=True)
    after = mutation.applied(source).splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, after, path, path, n=1))
