"""The braces around bodies of one expression: needed over several lines, left out on one."""

from collections.abc import Iterator
from typing import NamedTuple

from scopebound_engine.author.formatting.comments import Comments
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def settled(source: Source) -> str:
    """The text with `if x` where the expression begins on the line of its head, else `if { x }`."""
    parts, end = [], 0
    for edit in sorted(_edits(Module(source), Comments(source))):
        parts += [source.text[end : edit.start], edit.text]
        end = edit.end
    return "".join((*parts, source.text[end:]))


def _edits(module: Module, comments: Comments) -> Iterator[_Edit]:
    for head in module.heads:
        index = head.start + 1
        while index < head.end - 1:
            if module.is_keyword(index, "if"):
                end = module.find(range(index + 1, head.end), "else") or head.end
                yield from _around(module, comments, index, end)
            index = module.source.closing.get(index, index) + 1


def _around(module: Module, comments: Comments, keyword: int, end: int) -> Iterator[_Edit]:
    """The edits of a body, from its `if` to the end of the rule or to the next `else`."""
    source, tokens = module.source, module.source.tokens
    first = keyword + 1
    same_line = not source.newline_between(keyword - 1, keyword) and not source.newline_between(
        keyword, first
    )
    if tokens[first].text != "{":
        if not same_line:
            yield _Edit(tokens[keyword].end, tokens[keyword].end, " {")
            after = _line_end(source.text, tokens[end - 1].end)
            yield _Edit(after, after, "\n}")
        return
    close = source.closing.get(first)
    if close is None or close == first + 1:
        return
    literals = list(module.split(range(first + 1, close), separator=";"))
    fits = same_line and not source.newline_between(first, first + 1)
    fits = fits and not comments.within(first + 1, close + 1)
    # A set or an object would be taken for a body.
    if fits and len(literals) == 1 and tokens[first + 1].text != "{":
        yield _Edit(tokens[first].start, tokens[first].end, "")
        yield _Edit(tokens[literals[0].stop - 1].end, tokens[close].end, "")


def _line_end(text: str, offset: int) -> int:
    """Where the line ends that this place is in, if nothing but a comment follows on it."""
    end = text.find("\n", offset)
    rest = text[offset:] if end < 0 else text[offset:end]
    return offset + len(rest) if rest.lstrip()[:1] in {"", "#"} else offset
