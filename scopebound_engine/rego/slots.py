"""Hands a compiled plan the facts that it reads one by one, in place of a tree to search.

The engine finds a key by comparing it with each key of the object, at about half a microsecond
each, and does so anew in every rule. But a plan shows which paths below `input` it reads. Here the
input becomes an array with a box for each of them, and every look-up one of a box:

    input.claims.exp      input = [[true], [1767225600]]      input.claims is [0][0], .exp [1][0]

The box of an absent fact is empty, so that the look-up fails as it would have. What no rule reads
is not handed over; of what rules only look into, as `claims` here, just that it is there. Boxes
that many rules ask for are opened once, at the beginning of a query.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Final

from scopebound_engine.errors import InputError
from scopebound_engine.rego import rewriting
from scopebound_engine.rego.input import term
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.rewriting import Raw, Variables, local
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
_THERE: Final = [True]
# With up to so many look-ups of a fact, each opens the box: most rules give up before theirs.
_RARE: Final = 2


@dataclass
class _Node:
    """The facts below one path; `place` is that of its own box, -1 where it has none."""

    place: int = -1
    use: Use = Use.PRESENCE
    inner: dict[str, "_Node"] = field(default_factory=dict)


class Slots:
    """The input of a rewritten plan."""

    def __init__(self, uses: Mapping[Steps, Use], variables: Sequence[int]) -> None:
        """Takes the paths in the order of their boxes.

        `variables` outlive calls, which `frames.pack` has to know.
        """
        self.variables = variables
        self._root = _Node()
        self._empty: list[list[Any]] = [[] for _ in uses]
        for place, (path, use) in enumerate(uses.items()):
            node = self._root
            for step in path:
                node = node.inner.setdefault(step, _Node())
            node.place, node.use = place, use

    def input(self, facts: Mapping[str, Any]) -> list[list[Any]]:
        """What to give the rewritten plan in place of these facts: a box for each path."""
        boxes = self._empty.copy()
        _fill(boxes, self._root, facts)
        return boxes


def _fill(boxes: list[list[Any]], node: _Node, facts: Mapping[str, Any]) -> None:
    for step, below in node.inner.items():
        if step not in facts:
            continue
        value = facts[step]
        if below.place >= 0:
            boxes[below.place] = _box(value, below.use)
        if below.inner and type(value) is dict:
            _fill(boxes, below, value)


def _box(value: Any, use: Use) -> list[Any]:
    if use is Use.PRESENCE:
        return _THERE
    return [type(value)()] if use is Use.KIND and value is not None else [value]


def rewrite(document: Mapping[str, Any], plan: Plan, variables: Variables) -> Slots | None:
    """Rewrites a document in place; None, and nothing changed, where it reads the input otherwise.

    `plan` is that of the document as it was compiled.
    """
    reads = _Reads(plan, document)
    if reads.is_opaque:
        return None
    uses = reads.uses()
    boxes = _Boxes(list(uses), reads.dots, variables)
    for listing in rewriting.walk(document):
        listing.statements[:] = boxes.opened(listing.statements)
    for entry in document["plans"]["plans"]:
        entry["blocks"].insert(0, {"stmts": list(boxes.prologue())})
    return Slots(uses, boxes.shared)


class _Boxes:
    """The statements that open boxes."""

    def __init__(
        self, paths: Sequence[Steps], dots: Mapping[int, Steps], variables: Variables
    ) -> None:
        self._places = {path: place for place, path in enumerate(paths)}
        self._dots, self._variables = dots, variables
        counted = list(dots.values())
        self._kept = {path: variables.new() for path in paths if counted.count(path) > _RARE}
        self._first = variables.new()

    @property
    def shared(self) -> list[int]:
        """The variables that hold values for all functions."""
        return [self._first, *self._kept.values()]

    def prologue(self) -> Iterator[Raw]:
        """Opens the boxes that are asked for most, each if it is not empty."""
        yield rewriting.make_int(0, self._first)
        for path, variable in self._kept.items():
            yield rewriting.alternatives(list(self._open(path, variable)))

    def opened(self, statements: Sequence[Raw]) -> Iterator[Raw]:
        """The statements with each look-up of a fact as one of its box."""
        for statement in statements:
            path = self._dots.get(id(statement["stmt"]))
            if path is None:
                yield statement
                continue
            source, target = statement["stmt"]["source"]["value"], statement["stmt"]["target"]
            if source != INPUT:
                # What it holds is known if it holds anything.
                yield rewriting.defined(source)
            if (kept := self._kept.get(path)) is None:
                yield from self._open(path, target)
            else:
                yield rewriting.defined(kept)
                yield rewriting.assign(local(kept), target)

    def _open(self, path: Steps, target: int) -> Iterator[Raw]:
        place, box = self._variables.new(), self._variables.new()
        yield rewriting.make_int(self._places[path], place)
        yield rewriting.dot(local(INPUT), local(place), box)
        yield rewriting.dot(local(box), local(self._first), target)


class _Reads:
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
