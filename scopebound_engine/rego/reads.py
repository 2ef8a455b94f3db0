"""Which facts a compiled plan reads, and what it needs to know of each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from typing import Any, Final

from scopebound_engine.errors import InputError
from scopebound_engine.rego import rewriting
from scopebound_engine.rego.input import term
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import INPUT, Local, Statement

Steps = tuple[str, ...]


class Use(IntEnum):
    """What rules need to know of a fact: that it is there, of what kind it is, or all of it."""

    PRESENCE = 0
    KIND = 1
    WHOLE = 2


# These change what the input is, or whom a call calls, while the plan runs.
_OPAQUE: Final = frozenset({"With", "CallDynamic"})
_NO_USE: Final = frozenset({"IsDefined", "IsUndefined", "ResetLocal", "ReturnLocal"})
_KINDS: Final = frozenset({"IsArray", "IsObject", "IsSet"})
_KIND_CALLS: Final = frozenset(
    {"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string"}
)


class Reads:
    """The look-ups of facts in a plan, by the identity of their fields, and what else reads facts.

    A variable's path (`Plan.path`) is that of the only value that it can have in a query, so what
    is looked up in it is known from the input alone.
    """

    def __init__(self, plan: Plan, document: Mapping[str, Any]) -> None:
        self._plan = plan
        self._results = {
            statement["stmt"]["func"]
            for entry in document["plans"]["plans"]
            for listing in rewriting.listings(entry)
            for statement in listing.statements
            if statement["type"] == "CallStmt"
        }
        self.dots: dict[int, Steps] = {}
        self._targets: dict[Steps, list[int]] = {}
        for statement in plan.statements:
            path = self._path(statement)
            if path is not None and statement.target is not None:
                self.dots[id(statement.fields)] = path
                self._targets.setdefault(path, []).append(statement.target)

    @property
    def is_opaque(self) -> bool:
        """Whether a rule may use the input otherwise than by paths that are known."""
        # Under another name, too: `call := input` may be counted or handed on as a whole.
        return self._needs.get(INPUT, Use.PRESENCE) > Use.PRESENCE or any(
            statement.kind in _OPAQUE or INPUT in self._used(statement)
            for statement in self._plan.statements
        )

    def uses(self) -> dict[Steps, Use]:
        """What rules need of the fact at each path, in order."""
        return {
            path: max(self._needs.get(target, Use.PRESENCE) for target in targets)
            for path, targets in sorted(self._targets.items())
        }

    def _path(self, statement: Statement) -> Steps | None:
        if statement.kind != "Dot":
            return None
        source, key = statement.reads
        if not isinstance(source, Local) or not isinstance(key, str):
            return None
        root, steps = self._plan.path(source.number)
        known = [_key(step) if isinstance(step, str) else None for step in (*steps, key)]
        path = tuple(step for step in known if step is not None)
        return path if root == "input" and len(path) == len(known) else None

    @cached_property
    def _needs(self) -> dict[int, Use]:
        """What the value of a variable is used for, there or where it is passed on to."""
        needs: dict[int, Use] = {}
        givers: dict[int, list[int]] = {}
        for function in self._plan.functions.values():
            if function.name in self._results:
                needs[function.result] = Use.WHOLE
            for statement in function.statements:
                for number in self._used(statement):
                    needs[number] = max(needs.get(number, Use.PRESENCE), _use(statement))
                for giver, taker in self._passed(statement):
                    givers.setdefault(taker, []).append(giver)
        waiting = list(needs)
        for number in waiting:
            for giver in givers.get(number, ()):
                if needs.get(giver, Use.PRESENCE) < needs[number]:
                    needs[giver] = needs[number]
                    waiting.append(giver)
        return needs

    def _used(self, statement: Statement) -> set[int]:
        """The variables that a statement does more with than to pass them on."""
        if statement.kind in _NO_USE:
            return set()
        if statement.kind.startswith("AssignVar"):
            # It fails where the target has another value.
            return set() if statement.kind == "AssignVar" else {*self._once(statement)}
        if statement.callee in self._plan.functions:
            # Its own parameters are passed on; the first two are input and data.
            return {INPUT} & {*_numbers(statement.reads[2:])}
        if id(statement.fields) in self.dots:
            return set()
        named = (statement.fields.get(name) for name in ("source", "a", "b"))
        return {*_numbers(statement.reads), *(item for item in named if type(item) is int)}

    def _once(self, statement: Statement) -> Iterator[int]:
        """The variables that may be compared with another value; where there is one writer, none.

        A body that the compiler copied writes the same.
        """
        writers = self._plan.writers.get(statement.target or 0, ())
        if self._plan.writer(statement.target or 0) is None and len(writers) > 1:
            yield from _numbers(statement.reads)

    def _passed(self, statement: Statement) -> Iterator[tuple[int, int]]:
        """The variables that a statement passes on as they are, each with the one it goes to."""
        if statement.kind.startswith("AssignVar") and statement.target is not None:
            yield from ((number, statement.target) for number in _numbers(statement.reads))
        if statement.kind == "ReturnLocal":
            result = self._plan.functions[statement.block.function].result
            yield statement.fields["source"], result
        if (function := self._plan.functions.get(statement.callee)) is not None:
            # What a call has too many or too few of goes nowhere.
            pairs = zip(statement.reads[2:], function.params, strict=False)
            yield from ((item.number, taker) for item, taker in pairs if isinstance(item, Local))
            if statement.target is not None:
                yield function.result, statement.target


def _use(statement: Statement) -> Use:
    asks_kind = statement.kind in _KINDS or statement.callee in _KIND_CALLS
    return Use.KIND if asks_kind else Use.WHOLE


def _numbers(operands: Sequence[Any]) -> Iterator[int]:
    return (item.number for item in operands if isinstance(item, Local))


def _key(step: str) -> str | None:
    """A key as it stands in the facts; None for one that the engine finds in none.

    The engine compares keys as texts of JSON, so it does not find é where a policy says "\\u00e9".
    """
    try:
        key = str(json.loads(f'"{step}"'))
        return key if term(key) == f'"{step}"' else None
    except (ValueError, InputError):
        return None
