"""The faults that are put into a clause, one at a time."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from scopebound_engine.rego.mutants.clause import Clause
from scopebound_engine.rego.mutants.mutation import Edit, Kind, brief
from scopebound_engine.rego.source.bodies import Body, Literal

_SHIFTED: Final = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
_OPPOSITE: Final = {"+": "-", "-": "+", "*": "/", "/": "*"}
_CHECKS: Final = frozenset(
    ("is_array", "is_boolean", "is_number", "is_object", "is_set", "is_string")
)
_BOOLEANS: Final = {"true": "false", "false": "true"}
# After these a minus belongs to its number.
_OPERANDS: Final = frozenset({"name", "number", "string", "raw"})
_CLOSING: Final = frozenset({")", "]", "}"})


def faults(clause: Clause, *, alone: bool) -> Iterator[Edit]:
    """All faults of a clause; `alone` where the rule has no other, and so cannot do without it."""
    yield from _deleted(clause, alone)
    for body, literal in clause.conditions:
        yield from _loosened(clause, body, literal)
        yield from _blurred(clause, literal)
    yield from _weakened(clause)
    yield from _operators(clause)
    yield from _constants(clause)
    yield from _elements(clause)


def _deleted(clause: Clause, alone: bool) -> Iterator[Edit]:
    rule, text = clause.rule, brief(clause.text)
    if rule.is_default:
        if not alone:
            words = f"without `{text}`"
            yield Edit("default dropped", clause.start, clause.end, "", words)
        return
    if alone or len(clause.branches) > 1:
        first, *others = clause.branches
        kind: Kind = "branch deleted" if others else "clause deleted"
        yield _never(clause, first, kind)
        for branch in others:
            yield _without(clause, branch, "branch deleted")
    if not alone:
        yield Edit("clause deleted", clause.start, clause.end, "", f"without `{text}`")


def _never(clause: Clause, branch: range, kind: Kind) -> Edit:
    """A branch that is there, for references and for what comes after it, and never holds."""
    condition = clause.module.find(branch, "if")
    body = branch if condition is None else range(condition, branch.stop)
    end = clause.tokens[branch[-1]].end
    start = end if condition is None else clause.tokens[body[0]].start
    blank = " " if condition is None else ""
    return Edit(kind, start, end, f"{blank}if false", f"never `{brief(clause.words(branch))}`")


def _without(clause: Clause, span: range, kind: Kind) -> Edit:
    """Without some tokens and the blanks before them."""
    start, end = clause.tokens[span[0] - 1].end, clause.tokens[span[-1]].end
    return Edit(kind, start, end, "", f"without `{brief(clause.words(span))}`")


def _loosened(clause: Clause, body: Body, literal: Literal) -> Iterator[Edit]:
    span = range(literal.start, literal.end)
    text = brief(clause.words(span))
    if not clause.binds(literal) and text != "true":
        start, end, replacement = _dropped(clause, body, literal)
        yield Edit("condition dropped", start, end, replacement, f"without `{text}`")
    if literal.negated:
        start, end = clause.tokens[literal.start].start, clause.tokens[literal.term].start
        shorter = brief(clause.words(range(literal.term, literal.end)))
        yield Edit("negation dropped", start, end, "", f"`{text}` → `{shorter}`")
        yield from _presumed(clause, literal)


def _presumed(clause: Clause, literal: Literal) -> Iterator[Edit]:
    """A check that takes a value for granted: not is_number(x) as is_number(x) == false.

    What is absent has no type at all, so the two differ there and nowhere else.
    """
    whole = clause.closing.get(literal.term + 1) == literal.core_end - 1
    if whole and clause.module.is_keyword(literal.term, *_CHECKS):
        text = f"{clause.words(range(literal.term, literal.core_end))} == false"
        span = range(literal.start, literal.core_end)
        yield _replaced(clause, span, "absence overlooked", text)


def _dropped(clause: Clause, body: Body, literal: Literal) -> tuple[int, int, str]:
    """Where an expression is cut out, with what parts it from others; a query needs one."""
    start, end = clause.tokens[literal.start].start, clause.tokens[literal.end - 1].end
    if len(body.literals) == 1:
        return start, end, "true"
    if literal is not body.literals[-1] and clause.tokens[literal.end].text == ";":
        return start, clause.tokens[literal.end + 1].start, ""
    before = clause.tokens[literal.start - 1]
    return (before.start if before.text == ";" else clause.line_before(start)), end, ""


def _blurred(clause: Clause, literal: Literal) -> Iterator[Edit]:
    """Texts that are taken for equal: those of another case, and those that go on.

    Not among texts that are all written in the policy: what is compared comes from elsewhere.
    """
    module, span = clause.module, range(literal.term, literal.core_end)
    at = module.find(span, "in")
    if at is None or literal.binds or module.is_keyword(literal.start, "every"):
        return
    if clause.tokens[at + 1].text in {"[", "{"}:
        return
    value, listed = clause.words(range(span.start, at)), clause.words(range(at + 1, span.stop))
    item = clause.unused("item")
    for alike in (f"lower({value}) == lower({item})", f"startswith({value}, {item})"):
        text = f"[{item} | some {item} in {listed}; {alike}] != []"
        yield _replaced(clause, span, "comparison blurred", text)


def _weakened(clause: Clause) -> Iterator[Edit]:
    """Checks of a type that let pass whatever is there: is_number(x) as x != null."""
    for index in range(clause.rule.start, clause.rule.end - 1):
        if clause.module.is_keyword(index, *_CHECKS) and index + 1 in clause.closing:
            close = clause.closing[index + 1]
            text = f"{clause.words(range(index + 2, close))} != null"
            yield _replaced(clause, range(index, close + 1), "check weakened", text)


def _operators(clause: Clause) -> Iterator[Edit]:
    for index in range(clause.rule.start, clause.rule.end):
        token, span = clause.tokens[index], range(index, index + 1)
        if token.text in _SHIFTED:
            yield _replaced(clause, span, "comparison shifted", _SHIFTED[token.text])
        elif token.text in _OPPOSITE and _has_two_operands(clause, index):
            yield _replaced(clause, span, "operator changed", _OPPOSITE[token.text])


def _has_two_operands(clause: Clause, index: int) -> bool:
    before = clause.tokens[index - 1]
    return before.kind in _OPERANDS or before.text in _CLOSING


def _constants(clause: Clause) -> Iterator[Edit]:
    for index in clause.constants:
        token, span = clause.tokens[index], range(index, index + 1)
        if token.kind == "number":
            number = Decimal(token.text)
            yield _replaced(clause, span, "number changed", str(number + 1))
            yield _replaced(clause, span, "number changed", str(number - 1))
        elif token.kind == "name":
            yield _replaced(clause, span, "boolean changed", _BOOLEANS[token.text])
        else:
            yield _replaced(clause, span, "text changed", f"{token.text[:-1]}~{token.text[-1]}")


def _elements(clause: Clause) -> Iterator[Edit]:
    for opening, elements in clause.collections:
        for at, element in enumerate(elements):
            words = f"without the element `{brief(clause.words(element))}`"
            yield Edit("element dropped", *_left_out(clause, opening, elements, at), words)


def _left_out(
    clause: Clause, opening: int, elements: Sequence[range], at: int
) -> tuple[int, int, str]:
    """Where an element is cut out, with what parts it from others; an empty set has a name."""
    tokens, element = clause.tokens, elements[at]
    if len(elements) == 1:
        close = clause.closing[opening]
        is_set = tokens[opening].text == "{"
        return tokens[opening].start, tokens[close].end, "set()" if is_set else "[]"
    if at + 1 < len(elements):
        return tokens[element[0]].start, tokens[elements[at + 1][0]].start, ""
    return tokens[elements[at - 1][-1]].end, tokens[element[-1]].end, ""


def _replaced(clause: Clause, span: range, kind: Kind, text: str) -> Edit:
    before, after = clause.around(span)
    words = f"`{before}{clause.words(span)}{after}` → `{before}{text}{after}`"
    return Edit(kind, clause.tokens[span[0]].start, clause.tokens[span[-1]].end, text, words)
