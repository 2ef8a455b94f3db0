"""The comparisons that rules make of matchers' answers, and what they do with them besides.

An answer may be passed on, listed and shown; to decide by it, a rule compares it with literals in a
condition. Whatever else is done with one cannot be followed, and is a doubt.
"""

from dataclasses import dataclass
from typing import Final

from scopebound_engine.rego.checks.documents import INPUT_SCHEMA
from scopebound_engine.rego.checks.texts import Texts
from scopebound_engine.rego.checks.traces import Tracer
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.statements import Local, Operand, Place, Statement

MEMBER: Final = "internal.member_2"

_ANSWERS: Final = frozenset(INPUT_SCHEMA["properties"]["matches"]["additionalProperties"]["enum"])
_EQUALITIES: Final = frozenset({"eq", "equal", "neq"})
# These hold for every answer, or for none: "unfit" is not told from the others by them.
_BLIND: Final = frozenset({"is_string", "is_null", "is_boolean", "is_number", "is_array"})
# What passes an answer, or a list of them, on to where it is looked at again.
_FILLS: Final = {"ArrayAppend": "array", "SetAdd": "set"}
_PASSING: Final = frozenset({"AssignVar", "AssignVarOnce", "Scan", *_FILLS})
# What the compiler writes to take an object apart by a pattern.
_APART: Final = frozenset({"IsObject", "Len", "Dot"})


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
        """What of input.matches a statement reads; empty for nothing."""
        names, everything = set[str](), False
        for operand in statement.reads:
            names |= self._tracer.answers(operand, statement.block)
            names |= self._tracer.listed(operand)
            everything |= self._tracer.is_all(operand, statement.block)
        if not names:
            return "input.matches" if everything else ""
        return " or ".join(f"input.matches.{name}" for name in sorted(names))

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
        if statement.callee in _BLIND or statement.reads[1:] == (False,):
            return True
        if statement.callee in self._plan.functions:
            return not any(map(self._tracer.listed, reads))
        if statement.kind in _APART or statement.callee == "object.get":
            # An answer as the key of a table decides by what is in the table.
            return not any(self._tracer.answers(key, statement.block) for key in reads[1:])
        if statement.kind in _PASSING and not self._hides(statement):
            return True
        return all(self._texts.shows(statement, item.number) for item in reads)

    def _hides(self, statement: Statement) -> bool:
        """Whether input.matches as a whole is put into a list, out of which it is not traced."""
        value = statement.reads[0]
        return statement.kind in _FILLS and self._tracer.is_all(value, statement.block)

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
