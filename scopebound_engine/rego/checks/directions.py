"""Which way a condition of a policy works: towards a denial, or away from one.

A condition in the body of a violation works towards a denial, one that `allow` needs works away
from it, `not` turns it round, and a helper passes it on to those who call it. Where that cannot be
told it works both ways, which is the cautious answer: who asks has to be content with either.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from scopebound_engine.rego.checks.effects import Effect, Effects
from scopebound_engine.rego.checks.texts import Texts
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.statements import Function, Local, Operand, Statement

# 1: where the condition holds, more is denied; -1: less.
Ways = frozenset[int]
TOWARDS: Final[Ways] = frozenset((1,))
AWAY: Final[Ways] = frozenset((-1,))
BOTH: Final[Ways] = TOWARDS | AWAY
_NONE: Final[Ways] = frozenset()

# What stands before the value of a `default`, or of an `else` without conditions.
_SURE: Final = frozenset({"AssignVar", "Block", "IsUndefined", "ResetLocal"})


@dataclass(frozen=True, slots=True)
class _Use:
    """What is done with a function: the ways in which it works that its result is true, and that
    there is a result; and whether it matters which result it is.
    """

    truth: Ways = _NONE
    defined: Ways = _NONE
    value: bool = False

    def __or__(self, other: "_Use") -> "_Use":
        return _Use(
            self.truth | other.truth, self.defined | other.defined, self.value or other.value
        )


_ANY_USE: Final = _Use(BOTH, BOTH, True)


class Directions:
    """Answers for the conditions `subjects`, and for what they are reached through."""

    def __init__(self, values: Values, entrypoint: str, subjects: Iterable[Statement]) -> None:
        self._values, self._plan = values, values.plan
        self._entrypoint = "g0.data." + entrypoint.replace("/", ".")
        self._effects = Effects(values.plan)
        self._texts = Texts(values.plan)
        self._uses: dict[str, _Use] = {}
        self._solve({subject.block.function for subject in subjects})

    def of(self, condition: Statement) -> Ways:
        """The ways in which a condition works; none where nothing comes of it."""
        function = self._plan.functions[condition.block.function]
        effects = self._effects.of(condition)
        return _NONE.union(*(self._way(function, effect) for effect in effects))

    def _way(self, function: Function, effect: Effect) -> Ways:
        if effect.at is not None:
            ways = self.of(effect.at)
            return ways if effect.kind == "holds" else _turned(ways)
        if effect.operand is not None and self._denies(effect.operand):
            return TOWARDS
        use = self._uses.get(function.name, _ANY_USE)
        if effect.kind != "gives" or (use.value and not self._constant(function)):
            return BOTH
        truth = _turned(use.truth) if effect.operand is False else use.truth
        return truth if self._total(function) else truth | use.defined

    def _denies(self, operand: Operand) -> bool:
        """Whether a value, wherever it is defined, is a violation."""
        made = self._texts.violations
        origins = self._values.origins(operand)
        return all(isinstance(item, Local) and item.number in made for item in origins)

    def _constant(self, function: Function) -> bool:
        """Whether all results are the same literal, so that having one is all there is to it."""
        (first, *others) = self._values.origins(Local(function.result))
        return not others and not isinstance(first, Local)

    def _total(self, function: Function) -> bool:
        """Whether there is a result in any case: by `default`, or by an `else` with a literal."""
        return any(
            statement.kind == "AssignVarOnce"
            and not isinstance(statement.reads[0], Local)
            and self._reached(statement)
            for statement in function.statements
        )

    def _reached(self, statement: Statement) -> bool:
        """Whether nothing keeps a function from coming to a statement, but that it is done."""
        outer = statement.block.parent
        if outer is not None and (outer.kind != "Block" or outer.block.parent is not None):
            return False
        siblings = self._plan.siblings(statement)
        return all(before.kind in _SURE for before in siblings[: siblings.index(statement)])

    # What is done with the functions that lead to the subjects

    def _solve(self, names: set[str]) -> None:
        """Finds the uses of these functions and of those that they are called by, and so on."""
        waiting = sorted(names)
        for name in waiting:
            callers = {call.block.function for call in self._plan.calls.get(name, ())}
            waiting += sorted(callers - {*waiting})
        found = {name: self._first_use(name) for name in waiting}
        while found != self._uses:
            self._uses = found
            found = {name: self._use(name) for name in waiting}

    def _first_use(self, name: str) -> _Use:
        """Without a caller nobody knows; without a decision the call is denied."""
        if name == self._entrypoint:
            function = self._plan.functions[name]
            results = [s for s in self._plan.writers[function.result] if s.kind != "ResetLocal"]
            return _Use(defined=AWAY, value=len(results) > 1)
        return _ANY_USE if not self._plan.calls.get(name) else _Use()

    def _use(self, name: str) -> _Use:
        use = self._first_use(name)
        for call in self._plan.calls.get(name, ()):
            use |= self._use_of(call.target or 0, call, set())
            # What has to be true has to be there as well; of other values that is to be said.
            readers = self._plan.readers.get(call.target or 0)
            if not readers or not all(map(_tests, readers)):
                use |= _Use(defined=self.of(call))
        return use

    def _use_of(self, number: int, call: Statement, seen: set[int]) -> _Use:
        """What is done with the value of a call, which is in this variable."""
        function = self._plan.functions[call.block.function]
        if number == function.result:
            return self._uses.get(function.name, _Use())
        use = _Use()
        if number in seen or self._denies(Local(number)):
            return use
        seen.add(number)
        for reader in self._plan.readers.get(number, ()):
            if reader.block.function == function.name and not self._texts.shows(reader, number):
                use |= self._use_by(reader, number, call, seen)
        return use

    def _use_by(self, reader: Statement, number: int, call: Statement, seen: set[int]) -> _Use:
        if reader.kind.startswith("AssignVar") and reader.target is not None:
            return self._use_of(reader.target, call, seen)
        if _tests(reader):
            return _Use(truth=self.of(reader))
        if reader.reads == ("allow", Local(number)) and reader.block.function == self._entrypoint:
            return _Use(truth=AWAY)
        return _Use(value=True)


def _tests(statement: Statement) -> bool:
    """Whether a statement is a condition that a variable is true, or anything but false."""
    return statement.kind == "NotEqual" and statement.reads[1] is False


def _turned(ways: Ways) -> Ways:
    return frozenset(-way for way in ways)
