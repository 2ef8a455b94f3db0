"""Where statements stand in the source: in which rule, and in which of its conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from scopebound_engine.rego.rewriting import Spot
from scopebound_engine.rego.source.bodies import Literal
from scopebound_engine.rego.source.syntax import Module, Rule, parsed

# Of a line or the text of a condition, and the lines of a rule.
_CHARACTERS: Final = 200
_LINES: Final = 60


@dataclass(frozen=True, slots=True)
class Part:
    """A condition of a rule, or what gives it its value where `literal` is None.

    Two are the same that begin at one place.
    """

    file: str
    line: int
    column: int
    text: str = field(compare=False)
    rule: Rule = field(compare=False)
    literal: Literal | None = field(compare=False)


class Places:
    """Finds the parts that spots are in. `files` are the paths of the spots' numbers."""

    def __init__(self, files: Sequence[str], modules: Mapping[str, str]) -> None:
        self._files, self._modules = files, modules
        self._known: dict[Spot, Part | None] = {}
        self._texts: dict[str, _Text] = {}

    def part(self, spot: Spot | None) -> Part | None:
        """The part that a spot is in; None for what stands nowhere."""
        if spot is None:
            return None
        if spot not in self._known:
            self._known[spot] = self._text(self._files[spot.file]).part(spot)
        return self._known[spot]

    def head(self, part: Part) -> tuple[int, list[str]]:
        """The line that a part's rule begins at, and the lines of the rule, without their ends."""
        return self._text(part.file).lines(part.rule)

    def conditions(self, part: Part) -> list[Part]:
        """All conditions of the body that a part is in, in order; empty where it is in none."""
        return self._text(part.file).conditions(part)

    def _text(self, file: str) -> "_Text":
        if file not in self._texts:
            self._texts[file] = _Text(parsed(file, self._modules.get(file, "")))
        return self._texts[file]


class _Text:
    """One module, by offsets of its characters."""

    def __init__(self, module: Module) -> None:
        self._module, self._source = module, module.source

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self._source.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def part(self, spot: Spot) -> Part | None:
        column = self._source.column_of_byte(spot.row, spot.column)
        offset = self._starts[min(spot.row, len(self._starts) - 1)] + column - 1
        tokens = self._source.tokens
        for rule in self._module.rules:
            if tokens[rule.start].start <= offset < tokens[rule.end - 1].end:
                return self._in_rule(rule, offset)
        return None

    def _in_rule(self, rule: Rule, offset: int) -> Part:
        tokens = self._source.tokens
        for body in rule.bodies:
            for literal in body.literals:
                # A body of one expression without braces has the place of its `if`.
                first = literal.start - (literal.start == body.start)
                if tokens[first].start <= offset < tokens[literal.end - 1].end:
                    return self._condition(rule, literal)
        line, column = self._source.place(offset)
        return Part(
            self._source.path, line, column, _cut(self._source.line(line).strip()), rule, None
        )

    def _condition(self, rule: Rule, literal: Literal) -> Part:
        line, column = self._source.place(self._source.tokens[literal.start].start)
        text = " ".join(self._module.text(range(literal.start, literal.end)).split())
        return Part(self._source.path, line, column, _cut(text), rule, literal)

    def conditions(self, part: Part) -> list[Part]:
        for body in part.rule.bodies:
            if part.literal in body.literals:
                return [self._condition(part.rule, literal) for literal in body.literals]
        return []

    def lines(self, rule: Rule) -> tuple[int, list[str]]:
        tokens, place = self._source.tokens, self._source.place
        first, _ = place(tokens[rule.start].start)
        last, _ = place(tokens[rule.end - 1].end - 1)
        numbers = range(first, min(last, first + _LINES - 1) + 1)
        return first, [_cut(self._source.line(number)) for number in numbers]


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"
