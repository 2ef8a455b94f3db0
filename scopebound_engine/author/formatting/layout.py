"""Where the lines of formatted Rego begin.

Lists and comprehensions stay on one line or are spread over several as their author has it: an item
that begins on a later line than the one before it begins a line. The expressions of a body begin
lines. All else is joined, except where a comment ends a line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from scopebound_engine.author.formatting.places import Places
from scopebound_engine.rego.source.spacing import ends_value
from scopebound_engine.rego.source.syntax import Module


@dataclass
class Lines:
    """What is decided. Keys are indices of tokens.

    `begins` are the tokens that begin lines, with their indentation; `apart` those of them that an
    empty line stands before. `dropped` separators are not written, `after` are those that are put
    after a token. `padded` tokens have a blank before them that others have not.
    """

    begins: dict[int, int] = field(default_factory=dict)
    apart: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)
    after: dict[int, str] = field(default_factory=dict)
    padded: set[int] = field(default_factory=set)


def laid_out(module: Module, places: Places) -> Lines:
    """The lines of a module, apart from where its statements begin."""
    layout = _Layout(module, places)
    for head in module.heads:
        layout.rule(range(head.start, head.end))
    return layout.lines


class _Layout:
    def __init__(self, module: Module, places: Places) -> None:
        self.lines = Lines()
        self._module, self._places = module, places
        self._tokens = module.source.tokens
        self._closing = module.source.closing
        self._texts = [token.text for token in self._tokens]
        self._uncommaed: set[int] = set()

    def rule(self, span: range) -> None:
        """From the head to the last `else`."""
        index = span.start
        while index < span.stop:
            if self._module.is_keyword(index, "else") and index > span.start:
                self._else(index)
            elif self._is_body(index):
                self._body(index, 0)
                index = self._closing[index]
            elif self._module.is_keyword(index, "if") and not self._is_body(index + 1):
                end = self._module.find(range(index + 1, span.stop), "else") or span.stop
                self._literal(range(index + 1, end), 0)
                index = end - 1
            elif index in self._closing:
                self._bracket(index, 0)
                index = self._closing[index]
            index += 1

    def _is_body(self, index: int) -> bool:
        return (
            self._closing.get(index, index) > index + 1
            and self._texts[index] == "{"
            and (
                self._module.is_keyword(index - 1, "if", "else")
                or ends_value(self._texts, index - 1)
            )
        )

    def _else(self, index: int) -> None:
        follows = self._texts[index - 1] == "}" and not self._places.between(index - 1, index)
        if not follows or self._places.comments(index):
            self.lines.begins[index] = 0
            self.lines.apart.add(index)

    def _body(self, opening: int, level: int) -> None:
        """A body in braces over several lines."""
        inside = range(opening + 1, self._closing[opening])
        self._literals(inside, level)
        self.lines.begins[inside.stop] = level

    def _literals(self, inside: range, level: int) -> None:
        """Expressions that begin lines, one level deeper."""
        previous: range | None = None
        for span in self._split(inside):
            self.lines.begins[span.start] = level + 1
            if previous and self._places.between(previous.stop - 1, span.start) > 1:
                self.lines.apart.add(span.start)
            self._literal(span, level + 1)
            previous = span

    def _on_one_line(self, inside: range, level: int) -> None:
        """Expressions that follow each other on a line."""
        spans = list(self._split(inside))
        for span in spans:
            self._literal(span, level)
        for span in spans[:-1]:
            self.lines.after[span.stop - 1] = ";"

    def _split(self, inside: range) -> Iterator[range]:
        index = inside.start
        while index < inside.stop:
            if self._texts[index] == ";":
                self.lines.dropped.add(index)
            index = self._closing.get(index, index) + 1
        yield from self._module.split(inside, separator=";")

    def _literal(self, span: range, level: int) -> None:
        end = self._module.find(span, "with") or span.stop
        core = range(span.start, end)
        if self._module.is_keyword(core.start, "every"):
            self._every(core, level)
        elif self._module.is_keyword(core.start, "some"):
            self._some(core, level)
        else:
            self._term(core, level)
        self._overrides(range(end, span.stop), level)

    def _overrides(self, span: range, level: int) -> None:
        """`with` modifiers: on a line of their own, and indented, where the author has it so."""
        start, inner = span.start, level
        line = self._places.end(start - 1) if span else 0
        while start < span.stop:
            end = self._module.find(range(start + 1, span.stop), "with") or span.stop
            if self._places.begin(start) > line:
                inner = level + 1
                self.lines.begins[start] = inner
            self._term(range(start, end), inner)
            line = self._places.begin(start)
            start = end

    def _some(self, core: range, level: int) -> None:
        """`some … in …` stays on one line; variables that are only declared may be on several."""
        if self._module.find(core, "in") is None:
            for index in core[2:]:
                if self._texts[index] != "," and self._places.below(index - 1, index):
                    self.lines.begins[index] = level + 1
        self._term(core, level)

    def _every(self, core: range, level: int) -> None:
        close = core.stop - 1
        opening = next((i for i in core if self._closing.get(i) == close), close)
        self._term(range(core.start, opening), level)
        inside = range(opening + 1, close)
        if self._is_spread(core.start, inside):
            self._body(opening, level)
        else:
            self.lines.padded |= {opening + 1, close}
            self._on_one_line(inside, level)

    def _is_spread(self, start: int, inside: range) -> bool:
        """Whether expressions begin on later lines than what they belong to, or each other."""
        spans = list(self._module.split(inside, separator=";"))
        lines = {self._places.begin(index) for index in (start, *(span.start for span in spans))}
        return len(lines) > 1 or self._is_commented(spans, inside.stop)

    def _is_commented(self, parts: Sequence[range], close: int) -> bool:
        """Whether a comment stands between these parts of a bracket."""
        gaps = {close, *(index for part in parts for index in (part.start, part.stop))}
        return any(self._places.comments(gap) for gap in gaps)

    def _term(self, span: range, level: int) -> None:
        """What is written on one line, but for the brackets in it."""
        index = span.start
        while index < span.stop:
            if index in self._closing:
                self._bracket(index, level)
                index = self._closing[index]
            index += 1

    def _bracket(self, opening: int, level: int) -> None:
        inside = range(opening + 1, self._closing[opening])
        text, attached = self._texts[opening], self._is_attached(opening)
        bar = None if text == "(" else self._module.find(inside, "|", ",")
        if (text == "[") == attached and text != "{":
            # What is indexed, or set apart.
            self._term(inside, level)
        elif bar is not None and self._texts[bar] == "|":
            self._comprehension(opening, bar, level)
        else:
            self._items(opening, list(self._items_in(inside)), level)

    def _is_attached(self, opening: int) -> bool:
        """Whether a bracket calls or indexes what it touches."""
        touches = self._tokens[opening - 1].end == self._tokens[opening].start
        return touches and ends_value(self._texts, opening - 1)

    def _comprehension(self, opening: int, bar: int, level: int) -> None:
        close = self._closing[opening]
        self._term(range(opening + 1, bar), level)
        inside = range(bar + 1, close)
        if self._is_spread(opening, inside):
            self._literals(inside, level)
            self.lines.begins[close] = level
        else:
            self._on_one_line(inside, level)

    def _items_in(self, inside: range) -> Iterator[range]:
        start = index = inside.start
        while index < inside.stop:
            if self._texts[index] == ",":
                self.lines.dropped.add(index)
                yield range(start, index)
                start = index + 1
            index = self._closing.get(index, index) + 1
        if start < inside.stop:
            yield range(start, inside.stop)

    def _items(self, opening: int, items: Sequence[range], level: int) -> None:
        close = self._closing[opening]
        starts = [opening, *(item.start for item in items)]
        first_on_line = [
            later for earlier, later in pairwise(starts) if self._places.below(earlier, later)
        ]
        spread = bool(first_on_line) or (bool(items) and self._is_commented(items, close))
        if self._texts[opening] == "[" or self._is_set(opening):
            # The engine does not parse a last comma in a set among such items.
            self._uncommaed |= {item.start for item in items if self._is_set(item.start)}
        for item in items:
            self._term(item, level + spread)
        for item in items if spread and opening not in self._uncommaed else items[:-1]:
            self.lines.after[item.stop - 1] = ","
        if spread:
            self.lines.begins |= dict.fromkeys((items[0].start, *first_on_line), level + 1)
            self.lines.begins[close] = level

    def _is_set(self, opening: int) -> bool:
        inside = range(opening + 1, self._closing.get(opening, opening))
        return self._texts[opening] == "{" and self._module.find(inside, ":", "|") is None
