"""Which rules denied, and which would have, had one more condition held."""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final

from scopebound_engine.rego.checks.denials import is_violation, makers, objects, violations
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.statements import Local, Statement
from scopebound_engine.rego.tracing import facts
from scopebound_engine.rego.tracing.conditions import Attempt, Teller, attempts, bodies, within
from scopebound_engine.rego.tracing.happenings import Happening, Passage, Run
from scopebound_engine.rego.tracing.places import Places
from scopebound_engine.rego.tracing.told import Fired, Nearly, Told

_NEARLY: Final = 40


class DenyRules:
    """The statements that make violations, read off the plan before it is marked."""

    def __init__(self, document: Mapping[str, Any], program: Program) -> None:
        plan = Plan(document, dict(program.modules))
        self._values = Values(plan, program.data)
        self._made = makers(plan)
        self._codes = {
            made.target or 0: self._values.literals(fields.get("code", True))
            for made, fields in objects(plan)
        }
        self._listed = list(violations(self._values, program.entrypoint))
        self._fills = {id(fill.fields): fill for fill in self._found(plan)}
        self.functions = frozenset(fill.block.function for fill in self._fills.values())

    def has(self, happening: Happening) -> bool:
        """Whether a statement adds a violation to those of its rule."""
        return id(happening.statement.fields) in self._fills

    def codes(self, way: Attempt, file: str, lines: range) -> list[str]:
        """The codes of what a way adds, or would; else those that its rule's lines name."""
        fills = (self._fills.get(id(item.fields)) for listing in way.listings for item in listing)
        found = {
            code
            for fill in fills
            if fill is not None
            for origin in self._values.origins(fill.reads[0])
            if isinstance(origin, Local)
            for code in self._codes.get(origin.number, ())
        }
        places = (item for item in self._listed if item.place.file == file)
        within = {code for item in places if item.place.line in lines for code in item.code}
        return sorted(found or within)

    def _found(self, plan: Plan) -> Iterator[Statement]:
        for function in plan.functions.values():
            for fill in plan.fills(function.result):
                if is_violation(self._values, fill.reads[0], self._made):
                    yield fill


class Rules:
    """Tells what the deny rules of a policy did in an evaluation."""

    def __init__(self, deny: DenyRules, places: Places) -> None:
        self._deny, self._places, self._teller = deny, places, Teller(places)

    def tell(self, run: Run, denials: Sequence[Any]) -> Told:
        """Of the evaluation of the entrypoint, which gave these violations."""
        fired: dict[tuple[str, int, int], Fired] = {}
        nearly: list[tuple[tuple[float, ...], Nearly]] = []
        for body in self._bodies(run):
            ways = list(attempts(body))
            done = [(way, number) for way in ways for number in self._adds(way, denials)]
            for way, number in done:
                self._put(fired, way, number, denials)
            failed = [way for way in ways if way.end is not None]
            if failed and not done:
                nearly += self._near(max(failed, key=self._teller.progress))
        explained = {one.violation for one in fired.values()}
        for number, violation in enumerate(denials):
            if number not in explained:
                self._put(fired, self._elsewhere(run, violation), number, denials)
        told = sorted(fired.values(), key=attrgetter("violation"))
        ranked = sorted(nearly, key=itemgetter(0))[:_NEARLY]
        return Told(tuple(map(_code, denials)), tuple(told), tuple(one for _, one in ranked))

    def _bodies(self, run: Run) -> Iterator[Passage]:
        for asked in _runs(run):
            if asked.function.name in self._deny.functions:
                yield from bodies(asked)

    def _adds(self, way: Attempt, denials: Sequence[Any]) -> Iterator[int]:
        """The violations that it added; not those that it only handed on from another rule."""
        for happening in filter(self._deny.has, way.happenings):
            added = happening.reads[0]
            if not added.element and added.content in denials:
                yield denials.index(added.content)

    def _elsewhere(self, run: Run, violation: Any) -> Attempt | None:
        """What made a violation in a way of its own: not by adding it to a set."""
        for asked in _runs(run):
            for body in bodies(asked) if len(asked.function.params) == 2 else ():
                for way in attempts(body):
                    if any(_gives(happening, violation) for happening in way.happenings):
                        return way
        return None

    def _put(
        self,
        fired: dict[tuple[str, int, int], Fired],
        way: Attempt | None,
        number: int,
        denials: Sequence[Any],
    ) -> None:
        """One rule may deny for several reasons: each is told once."""
        part = self._teller.part_of(way) if way is not None else None
        if way is None or part is None:
            return
        line, source = self._places.head(part)
        found = list(within(way.happenings))
        told = Fired(
            code=_code(denials[number]),
            file=part.file,
            line=line,
            source=tuple(source),
            violation=number,
            conditions=tuple(self._teller.conditions(way)),
            facts=tuple(facts.read_by(found)),
            comparisons=tuple(facts.comparisons(found)),
        )
        fired.setdefault((part.file, line, number), told)

    def _near(self, way: Attempt) -> Iterator[tuple[tuple[float, ...], Nearly]]:
        part, failed = self._teller.part_of(way), self._teller.failure(way)
        if part is None or failed is None:
            return
        line, source = self._places.head(part)
        held, total = self._teller.progress(way)
        codes = tuple(self._deny.codes(way, part.file, range(line, line + len(source))))
        told = Nearly(codes, part.file, line, held, total, failed)
        yield (total - held, facts.distance(within(way.happenings)), -held), told


def _runs(run: Run) -> Iterator[Run]:
    """A run, and those of the rules that it asked; each once."""
    seen = {id(run)}
    yield run
    for happening in facts.happenings(run.passages):
        if happening.run is not None and id(happening.run) not in seen:
            seen.add(id(happening.run))
            yield happening.run


def _code(violation: Any) -> str:
    return str(violation.get("code", "")) if isinstance(violation, dict) else ""


def _gives(happening: Happening, violation: Any) -> bool:
    kinds = ("AssignVarOnce", "ArrayAppend", "SetAdd")
    if happening.statement.kind not in kinds or happening.reads[0].element:
        return False
    return bool(happening.reads[0].content == violation)
