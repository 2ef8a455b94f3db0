"""The braces around bodies of one expression: needed over several lines, left out on one."""

from collections.abc import Iterator
from typing import NamedTuple

from scopebound_engine.author.formatting.places import Places
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def settled(source: Source) -> str:
    """The text with `if x` where the expression begins on the line of its head, else `if { x }`."""
    parts, end = [], 0
    for edit in sorted(_edits(Module(source), Places(source))):
        parts += [source.text[end : edit.start], edit.text]
        end = edit.end
    return "".join((*parts, source.text[end:]))


def _edits(module: Module, places: Places) -> Iterator[_Edit]:
    for head in module.heads:
        index = head.start + 1
        while index < head.end - 1:
            if module.is_keyword(index, "if"):
                if module.source.tokens[index + 1].text == "{":
                    yield from _left_out(module, places, index)
                else:
                    end = module.find(range(index + 1, head.end), "else") or head.end
                    yield from _put_in(module, places, range(index, end))
            index = module.source.closing.get(index, index) + 1


def _put_in(module: Module, places: Places, span: range) -> Iterator[_Edit]:
    """Braces after an `if`, and after the body from there on."""
    tokens, keyword = module.source.tokens, span.start
    if places.begin(keyword + 1) > places.end(keyword - 1):
        yield _Edit(tokens[keyword].end, tokens[keyword].end, " {")
        end = tokens[span.stop - 1].end
        # A comment beside the body ends its line.
        end = module.source.text.find("\n", end) if places.beside(span) else end
        end = len(module.source.text) if end < 0 else end
        yield _Edit(end, end, "\n}")


def _left_out(module: Module, places: Places, keyword: int) -> Iterator[_Edit]:
    """No braces around a single expression that begins on the line of its head."""
    tokens, opening = module.source.tokens, keyword + 1
    close = module.source.closing.get(opening, opening)
    inside = range(opening + 1, close)
    literals = list(module.split(inside, separator=";"))
    if len(literals) != 1 or not _may_stand_alone(module, literals[0]):
        return
    is_commented = any(places.comments(gap) for gap in range(opening + 1, close + 1))
    if places.begin(inside.start) == places.end(keyword - 1) and not is_commented:
        yield _Edit(tokens[opening].start, tokens[opening].end, "")
        yield _Edit(tokens[literals[0].stop - 1].end, tokens[close].end, "")


def _may_stand_alone(module: Module, literal: range) -> bool:
    """Whether the engine parses an expression after `if` without braces.

    It takes a set or an object for a body, and does not always read `every` and `with`.
    """
    if module.source.tokens[literal.start].text == "{" or module.is_keyword(literal.start, "every"):
        return False
    return module.find(literal, "with") is None
