"""The built-in functions that a policy may use: those that regopy 1.5.2 computes as OPA does.

A list of what is allowed, because what is not on it was not compared. Missing are, among others,
max, min and sort (they order numbers as text), to_number ("5abc" is 5), object.union (it does not
merge what is nested), object.subset (undefined for false), most that looks into a string (strings
stay JSON-escaped inside the engine), regular expressions and globs (they backtrack, and crash on
long strings), JSON, YAML and time (parsed or frozen), and all that reaches out.
"""

import re
from collections.abc import Iterator
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.values import Values, listed
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import Local, Operand

_STEP: Final = "built-ins"
ALLOWED: Final = frozenset(
    (
        *("abs", "ceil", "floor", "round", "plus", "minus", "mul", "div", "rem", "count", "sum"),
        *("eq", "equal", "neq", "lt", "lte", "gt", "gte", "and", "or", "union", "intersection"),
        *("is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string"),
        *("type_name", "internal.member_2", "internal.member_3", "concat", "sprintf"),
        *("array.concat", "array.reverse", "array.slice", "object.filter", "object.get"),
        *("object.keys", "object.remove", "startswith", "endswith", "contains"),
    )
)
# Of these only a plain literal is safe to look for: the text searched is the JSON-escaped one.
_SEARCHES: Final = frozenset({"startswith", "endswith", "contains"})
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]+')
# What an escape sequence consists of: a text that begins so may be found inside of one.
_IN_ESCAPES: Final = frozenset('bfnrtu"\\/0123456789abcdefABCDEF')
_TAKES: Final = {"s": "string", "d": "number"}
_VERBS: Final = re.compile(r"%(.?)", re.DOTALL)


def forbidden(plan: Plan) -> Iterator[Finding]:
    """Calls of built-ins that are not on the list."""
    for name, calls in plan.calls.items():
        if name in plan.builtins and name not in ALLOWED:
            for call in calls:
                message = f"the built-in {name} may not be used in rules"
                remedy = "the engine computes it otherwise than OPA, or cannot be trusted with it"
                yield call.place.finding(_STEP, message, remedy)


def unsafe_searches(values: Values) -> Iterator[Finding]:
    """Searches for anything but a literal that means the same in escaped and in real text."""
    for name in sorted(_SEARCHES):
        for call in values.plan.calls.get(name, ()):
            needle = values.literal(call.reads[1]) if len(call.reads) == 2 else None
            if needle is None or not _PLAIN.fullmatch(needle):
                message = f"{name} looks for something else than a literal without escapes"
                yield call.place.finding(_STEP, message, "give it a literal, not a variable")
            elif name != "startswith" and needle[0] in _IN_ESCAPES:
                message = f"{name} looks for {needle!r}, which may be found inside of an escape"
                remedy = (
                    "let the text begin with a character that no escape like \\n or \\u0001 has"
                )
                yield call.place.finding(_STEP, message, remedy)


def unordered_texts(values: Values) -> Iterator[Finding]:
    """Calls of concat with what may be a set: OPA sorts it, the engine does not."""
    for call in values.plan.calls.get("concat", ()):
        if len(call.reads) == 2 and not values.is_array(call.reads[1]):
            remedy = "collect it in an array: [x | some x in …]"
            yield call.place.finding(_STEP, "concat is given what may not be an array", remedy)


def bad_formats(values: Values) -> Iterator[Finding]:
    """Calls of sprintf that OPA would print otherwise: only %s, %d, %v and %% agree."""
    for call in values.plan.calls.get("sprintf", ()):
        texts = values.literals(call.reads[0]) if len(call.reads) == 2 else frozenset()
        if not texts:
            remedy = "write the format as a literal"
            yield call.place.finding(_STEP, "the format of sprintf is not a literal", remedy)
        else:
            faults = {fault for text in texts for fault in _faults(values, text, call.reads[1])}
            for message in sorted(faults):
                yield call.place.finding(_STEP, message, "use %v for what is not a string")
            if any(
                _is_joined(values, item) for item in _elements(values.plan, call.reads[1]) or ()
            ):
                message = "sprintf shows what concat made with quotes that break the decision"
                yield call.place.finding(_STEP, message, "show the list itself, with %v")


def _is_joined(values: Values, element: Operand) -> bool:
    """Whether a text may be the result of concat: sprintf("%s", [concat("", ["a"])]) is "a"."""
    made = (item for item in values.origins(element) if isinstance(item, Local))
    return any(
        writer.callee == "concat"
        for item in made
        for writer in values.plan.writers.get(item.number, ())
    )


def _faults(values: Values, text: str, arguments: Operand) -> Iterator[str]:
    verbs = [verb for verb in _VERBS.findall(text) if verb != "%"]
    yield from (
        f"sprintf is safe with %s, %d, %v and %%; here is %{verb}"
        for verb in verbs
        if verb not in {"s", "d", "v"}
    )
    elements = _elements(values.plan, arguments)
    if elements is None:
        return
    if len(elements) != len(verbs):
        yield f"the format has {len(verbs)} verbs for {len(elements)} values"
    for verb, element in zip(verbs, elements, strict=False):
        kinds = values.kinds(element)
        if verb in _TAKES and _TAKES[verb] not in kinds:
            yield f"%{verb} is given {listed(kinds)}"


def _elements(plan: Plan, array: Operand) -> list[Operand] | None:
    """The elements of an array that is written out; None where it is not."""
    writer = plan.writer(array.number) if isinstance(array, Local) else None
    if writer is None or writer.target is None or writer.kind != "MakeArray":
        return None
    appends = plan.fills(writer.target)
    # An append in a block of its own is a comprehension's: how many there are is not known.
    if any(item.block is not writer.block for item in appends):
        return None
    return [item.reads[0] for item in appends]
