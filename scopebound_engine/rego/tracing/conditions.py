"""The conditions of a rule in one evaluation: which held, which did not, and why.

An *attempt* is one way through the body of a rule: where the body goes through elements, one for
each of them. The statements of a plan are not in the order of the source, and some of a condition's
stand apart from the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from scopebound_engine.rego.tracing import facts
from scopebound_engine.rego.tracing.code import Listing
from scopebound_engine.rego.tracing.happenings import Happening, Passage, Run
from scopebound_engine.rego.tracing.places import Part, Places
from scopebound_engine.rego.tracing.told import Condition, State

_HOLDS_REST: Final = ("Scan", "With")
_HANDS_ON: Final = ["IsDefined", "AssignVarOnce"]
# How deep it is told why, by how many conditions of one and of all, and by how many values.
_DEPTH: Final = 6
_REASONS: Final = 12
_ALL_REASONS: Final = 100
_VALUES: Final = 12


@dataclass(frozen=True, eq=False, slots=True)
class Attempt:
    """What happened on one way through a body; `end` is where it failed, None if it did not.

    `listings` are the lists of statements that it led through, or would have.
    """

    happenings: Sequence[Happening]
    listings: Sequence[Listing]
    end: Happening | None


def attempts(passage: Passage) -> Iterator[Attempt]:
    """All ways through a body that were gone."""
    happenings, listing = passage.happenings, passage.listing
    last = happenings[-1] if happenings else None
    # What follows a scan or an override is inside of it; only after that of `every` there is more.
    if last is None or last.statement.kind not in _HOLDS_REST or last.statement is not listing[-1]:
        yield Attempt(happenings, [listing], passage.failed)
        return
    if not last.inside:
        yield Attempt(happenings, [listing, *last.statement.blocks], last)
    # The turns are ways of their own.
    entered = [*happenings[:-1], replace(last, inside=[])]
    for inside in last.inside:
        for way in attempts(inside):
            yield Attempt([*entered, *way.happenings], [listing, *way.listings], way.end)


def bodies(run: Run) -> Iterator[Passage]:
    """The bodies of a rule that were tried: not those after an `else` that was not reached."""
    for passage in run.passages:
        for happening in passage.happenings:
            yield from filter(_was_tried, happening.inside)


def _was_tried(body: Passage) -> bool:
    kinds = [statement.kind for statement in body.listing]
    if kinds == _HANDS_ON or set(kinds) <= {"ResetLocal"}:
        return False
    end = body.failed
    is_settled = end is not None and end.statement is body.listing[0] and kinds[0] == "IsUndefined"
    return not is_settled


def is_for_others(run: Run, way: Attempt) -> bool:
    """Whether a body is not for these arguments: `f("a", x) if …` when f("b", x) is asked."""
    if way.end is None or way.end.statement.kind != "Equal":
        return False
    operands = (way.end.statement.fields[name] for name in "ab")
    params = run.function.params[2:]
    return any(item["type"] == "local" and item["value"] in params for item in operands)


def within(found: Sequence[Happening]) -> Iterator[Happening]:
    """All that happened there, in the rules that were asked too."""
    return facts.happenings([Passage((), list(found))])


class Teller:
    """Tells of attempts, in the words of the source."""

    def __init__(self, places: Places) -> None:
        self._places = places
        # Conditions that may still be told of the one that is under way.
        self._left = _ALL_REASONS

    def part_of(self, way: Attempt) -> Part | None:
        """Some part of the body that was tried, a condition if there is one."""
        # Guards between alternatives have no place of their own, but that of the one before.
        placed = [item for listing in way.listings for item in listing if "row" in item.fields]
        parts = [part for item in placed if (part := self._places.part(item.spot)) is not None]
        return next((part for part in parts if part.literal is not None), next(iter(parts), None))

    def progress(self, way: Attempt) -> tuple[int, int]:
        """How many conditions held, and of how many."""
        states = [state for _, state, _ in self._sorted(way)]
        return states.count("held"), len(states)

    def conditions(self, way: Attempt, depth: int = 0) -> Iterator[Condition]:
        """All conditions of the body, in the order of the source."""
        for part, state, found in self._sorted(way):
            yield self._condition(part, state, found, depth)

    def failure(self, way: Attempt, depth: int = 0) -> Condition | None:
        """The condition that failed; None where none did, or it stands nowhere."""
        failed = (item for item in self._sorted(way) if item[1] == "failed")
        return next((self._condition(*item, depth) for item in failed), None)

    def _sorted(self, way: Attempt) -> list[tuple[Part, State, list[Happening]]]:
        """The conditions with what happened in each; last what gives a value, where that failed."""
        found: dict[Part, list[Happening]] = {}
        for happening in way.happenings:
            part = self._part(happening, way)
            if part is not None:
                found.setdefault(part, []).append(happening)
        some = self.part_of(way)
        failing = None if way.end is None else self._part(way.end, way)
        parts = self._places.conditions(some) if some is not None else []
        parts += [failing] if failing is not None and failing not in parts else []
        told: list[tuple[Part, State, list[Happening]]] = []
        for part in parts:
            state: State = "held" if part in found else "unreached"
            told.append((part, "failed" if part == failing else state, found.get(part, [])))
        return told

    def _part(self, happening: Happening, way: Attempt) -> Part | None:
        """What a statement belongs to; the test of a result to what made the result."""
        statement = happening.statement
        fields = statement.fields
        if statement.kind == "NotEqual" and fields["b"]["type"] == "bool":
            tested = fields["a"]["value"]
            for other in way.happenings:
                if tested in (other.statement.fields.get(name) for name in ("result", "target")):
                    statement = other.statement
        return self._places.part(statement.spot)

    def _condition(
        self, part: Part, state: State, found: Sequence[Happening], depth: int
    ) -> Condition:
        self._left = self._left - 1 if depth else _ALL_REASONS
        negated = part.literal is not None and part.literal.negated
        decided = state == "failed" or (negated and state == "held")
        because = tuple(islice(self._because(found, depth + 1), _REASONS)) if decided else ()
        # What the rules that were asked looked at is told with their conditions, if those are.
        looked_at = facts.read_by(found if because else within(found))
        values = (*looked_at, *facts.made(found))[:_VALUES]
        place = part.file, part.line, part.column
        return Condition(*place, part.text, state, values, because)

    def _because(self, found: Sequence[Happening], depth: int) -> Iterator[Condition]:
        """The conditions of the rules that were asked, which decided what these answered."""
        if depth < _DEPTH and self._left > 0:
            for happening in found:
                if happening.run is not None:
                    yield from self._reasons(happening.run, depth)
                elif happening.statement.kind == "Not":
                    for passage in happening.inside:
                        yield from self._because(passage.happenings, depth)

    def _reasons(self, run: Run, depth: int) -> Iterator[Condition]:
        for body in bodies(run):
            ways = [way for way in attempts(body) if not is_for_others(run, way)]
            done = next((way for way in ways if way.end is None), None)
            if done is not None:
                yield from self.conditions(done, depth)
            elif ways and run.result is None:
                failed = self.failure(max(ways, key=self.progress), depth)
                yield from [failed] if failed is not None else []
