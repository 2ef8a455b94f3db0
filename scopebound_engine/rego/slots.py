"""Hands a compiled plan the facts that it reads one by one, in place of a tree to search.

The engine finds a key by comparing it with each key of the object, at about half a microsecond
each, and does so anew in every rule. But a plan shows which paths below `input` it reads. Here the
input becomes an array with a box for each of them, and every look-up one of a box:

    input.claims.exp      input = [[true], [1767225600]]      input.claims is [0][0], .exp [1][0]

The box of an absent fact is empty, so that the look-up fails as it would have. What no rule reads
is not handed over; of what rules only look into, as `claims` here, just that it is there. Boxes
that many rules ask for are opened once, at the beginning of a query.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scopebound_engine.rego import rewriting
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.reads import Reads, Steps, Use
from scopebound_engine.rego.rewriting import Raw, Variables, local
from scopebound_engine.rego.statements import INPUT

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
    reads = Reads(plan, document)
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
