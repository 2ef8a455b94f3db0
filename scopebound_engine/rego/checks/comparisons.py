"""The comparisons that rules make of matchers' answers, and what they do with them besides.

An answer may be passed on, listed and shown; to decide by it, a rule compares it with literals in a
condition. Whatever else is done with one cannot be followed, and is a doubt.
"""

from dataclasses import dataclass
from typing import Final

from scopebound_engine.rego.checks.documents import INPUT_SCHEMA
from scopebound_engine.rego.checks.texts import Texts
from scopebound_engine.rego.checks.traces import INPUT_ITSELF, MATCHES, Tracer
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.statements import Local, Operand, Place, Statement

MEMBER: Final = "internal.member_2"

_ANSWERS: Final = frozenset(INPUT_SCHEMA["properties"]["matches"]["additionalProperties"]["enum"])
_EQUALITIES: Final = frozenset({"eq", "equal", "neq"})
# These hold for every answer, or for none: "unfit" is not told from the others by them.
_BLIND: Final = frozenset({"is_string", "is_null", "is_boolean", "is_number", "is_array"})
_FILLS: Final = {"ArrayAppend": "array", "SetAdd": "set"}
# What the compiler writes beside it to take an object apart by a pattern.
_APART: Final = frozenset({"IsObject", "Len"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition that holds for some answers of a matcher; `subject` is how rules write it."""

    condition: Statement
    subject: str
    holds: frozenset[str]


class Comparisons:
    """Those of a plan; `doubts` are places and what is read there."""

    def __init__(self, values: Values, tracer: Tracer) -> None:
        self._values, self._plan, self._tracer = values, values.plan, tracer
        self._texts = Texts(values.plan)
        self.comparisons: list[Comparison] = []
        self.doubts: list[tuple[Place, str]] = []
        for statement in values.plan.statements:
            if subject := self._subject(statement):
                self._look_at(statement, subject)

    def _subject(self, statement: Statement) -> str:
        """What of the matchers a statement reads, as rules write it; empty for nothing."""
        names, wholes = set[str](), set[str]()
        for operand in statement.reads:
            names |= self._tracer.answers(operand, statement.block)
            names |= self._tracer.listed(operand)
            wholes.add(self._tracer.whole(operand, statement.block))
        named = " or ".join(f"{MATCHES}.{name}" for name in sorted(names))
        return named or max(wholes, key=len, default="")

    def _look_at(self, statement: Statement, subject: str) -> None:
        if self._passes_on(statement):
            return
        words, conditions = self._words(statement), self._conditions(statement)
        if not words or not conditions:
            self.doubts.append((statement.place, subject))
            return
        holds = _ANSWERS - words if statement.callee == "neq" else words
        self.comparisons += [Comparison(condition, subject, holds) for condition in conditions]

    def _passes_on(self, statement: Statement) -> bool:
        """Whether nothing is decided by what a statement reads."""
        reads = [item for item in statement.reads if isinstance(item, Local)]
        if statement.kind.startswith("AssignVar") or statement.reads[1:] == (False,):
            return True
        if all(self._texts.shows(statement, item.number) for item in reads):
            return True
        wholes = {self._tracer.whole(item, statement.block) for item in reads}
        if statement.kind == "Scan":
            return INPUT_ITSELF not in wholes
        return not any(map(self._tracer.listed, reads)) and self._keeps(statement, wholes)

    def _keeps(self, statement: Statement, wholes: set[str]) -> bool:
        """Whether an answer, or a document with answers, can be followed from a statement on."""
        if statement.kind in _FILLS:
            return wholes == {""}
        if steps := self._tracer.steps(statement):
            # Of all matches a computed key is told elsewhere; in a table it may be an answer.
            return MATCHES in wholes or all(isinstance(step, str) for step in steps)
        passing = statement.kind in _APART or statement.callee in _BLIND
        return passing or statement.callee in self._plan.functions

    def _words(self, statement: Statement) -> frozenset[str]:
        """The literals that an answer is compared with; empty where that is not all there is."""
        if len(statement.reads) != 2:
            return frozenset()
        left, right = statement.reads
        answers = [bool(self._tracer.answers(item, statement.block)) for item in (left, right)]
        if statement.callee == MEMBER:
            return self._listed_words(right) if answers == [True, False] else self._word(left)
        if statement.kind != "Equal" and statement.callee not in _EQUALITIES:
            return frozenset()
        if answers == [True, False]:
            return self._word(right)
        return self._word(left) if answers == [False, True] else frozenset()

    def _word(self, operand: Operand) -> frozenset[str]:
        """The one literal that an operand is."""
        words = self._values.literals(operand)
        return words if len(words) == 1 else frozenset()

    def _listed_words(self, collection: Operand) -> frozenset[str]:
        """The elements of a list or set that is written out."""
        fills = self._values.elements(collection) or ()
        words = [self._word(fill.reads[0]) for fill in fills]
        made = {fill.fields[_FILLS[fill.kind]] for fill in fills}
        blocks = {item.block for number in made for item in self._plan.writers[number]}
        # Elements that are added elsewhere are not always there.
        whole = len(made) == 1 and blocks == {fill.block for fill in fills} and all(words)
        return frozenset[str]().union(*words) if whole else frozenset()

    def _conditions(self, statement: Statement) -> list[Statement]:
        """The statements that fail where a comparison does not hold; none where it is a value."""
        if statement.kind == "Equal":
            return [statement]
        readers = self._plan.readers.get(statement.target or 0, ())
        return [*readers] if all(reader.reads[1:] == (False,) for reader in readers) else []
