"""What rules make of the bundle's matchers: is each one there, is it used, is "unfit" denied?

A matcher answers "unfit" where it cannot judge a value, so a policy has to deny "unfit" wherever it
denies "yes" or "no". That is so if each comparison sees to it: one that works towards a denial and
holds for "yes" or "no" has to hold for "unfit" too; one that works away from a denial and holds for
"unfit" has to hold for both others too.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.comparisons import MEMBER, Comparison, Comparisons
from scopebound_engine.rego.checks.directions import AWAY, BOTH, TOWARDS, Directions
from scopebound_engine.rego.checks.documents import input_schema
from scopebound_engine.rego.checks.traces import ANY, Tracer
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Element
from scopebound_engine.rego.statements import Operand, Statement

_STEP: Final = "matchers"
_FILE: Final = "manifest.json"
_JUDGED: Final = frozenset({"yes", "no"})
_UNFIT: Final = "unfit"


def check(
    values: Values, entrypoint: str, declared: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """All that is wrong; `declared` gives each matcher of the manifest the steps of its path."""
    tracer = Tracer(values)
    yield from _pointless(declared)
    yield from _names(values, tracer, declared)
    if any("matches" in statement.reads for statement in values.plan.statements):
        yield from _unhandled(values, tracer, entrypoint)


def _pointless(declared: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Matchers of what is never there, or never a text."""
    for name, steps in declared.items():
        path = tuple(Element(0) if step.isdecimal() else step for step in steps)
        schema = input_schema(("input", path))
        kinds = (schema or {}).get("type", "string")
        if schema is None or "string" not in (kinds if isinstance(kinds, list) else [kinds]):
            message = f"matchers.{name}: there is no text at /{'/'.join(steps)}"
            yield Finding(_STEP, message, _FILE, remedy="see input.schema.json for what there is")


def _names(values: Values, tracer: Tracer, declared: Collection[str]) -> Iterator[Finding]:
    """Reads of what is not declared, and declarations of what is not read."""
    used = set[str]()
    for statement in values.plan.statements:
        names = tracer.taken(statement)
        used |= names
        for name in sorted(names - {*declared}):
            if name == ANY:
                message = "which matcher is read here cannot be told"
                remedy = "name it: input.matches.NAME"
            else:
                message = f"the manifest declares no matcher {name}: this is never anything"
                remedy = f"it declares {', '.join(sorted(declared)) or 'none'}"
            yield statement.place.finding(_STEP, message, remedy)
        if any(tracer.whole(operand, statement.block) for operand in _looked_through(statement)):
            used |= {*declared}
    for name in sorted({*declared} - used):
        message = f"matchers.{name}: no rule reads input.matches.{name}"
        yield Finding(_STEP, message, _FILE, remedy="take it out", level="warning")


def _looked_through(statement: Statement) -> Sequence[Operand]:
    """What a statement looks for elements in."""
    if statement.kind == "Scan":
        return statement.reads
    return statement.reads[1:] if statement.callee == MEMBER else ()


def _unhandled(values: Values, tracer: Tracer, entrypoint: str) -> Iterator[Finding]:
    """Comparisons that do not deny "unfit" as they deny "yes" and "no"; what is no comparison."""
    found = Comparisons(values, tracer)
    for place, what in found.doubts:
        message = f"what becomes of {what} here cannot be followed"
        remedy = 'compare it with a word, in a condition of its own: input.matches.NAME != "yes"'
        yield place.finding(_STEP, message, remedy)
    directions = Directions(values, entrypoint, (item.condition for item in found.comparisons))
    for item in found.comparisons:
        ways = directions.of(item.condition)
        silent = ways >= TOWARDS and item.holds & _JUDGED and _UNFIT not in item.holds
        spared = ways >= AWAY and _UNFIT in item.holds and not item.holds >= _JUDGED
        if silent or spared:
            yield item.condition.place.finding(_STEP, *_told(item, ways == BOTH, bool(silent)))


def _told(item: Comparison, unsure: bool, silent: bool) -> tuple[str, str]:
    """What is wrong with a comparison, and what to write."""
    if unsure:
        return (
            f'whether {item.subject} denies "unfit" here cannot be told',
            "compare it in the body of a violation, or in a rule or function that such a body "
            "asks and that is true or undefined; let an else for a reason end with a literal",
        )
    words = ", ".join(f'"{word}"' for word in sorted(item.holds & _JUDGED))
    if silent:
        return (
            f'this denies {words} of {item.subject} but not "unfit"',
            f'what cannot be judged must be denied here as well: … in [{words}, "unfit"]',
        )
    return (
        f'this spares "unfit" of {item.subject} a denial that others get',
        "what cannot be judged must be denied: compare with == what is known to be fine",
    )
