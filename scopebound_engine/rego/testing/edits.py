"""Changes of a source's text, by offsets."""

from collections.abc import Sequence
from dataclasses import dataclass

from scopebound_engine.rego.source.tokens import Source


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """A replacement of the text from one offset to another."""

    start: int
    end: int
    text: str


def applied(text: str, edits: Sequence[Edit], offset: int = 0) -> str:
    """The text after edits that do not overlap; it begins at an offset of what they are of."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start - offset] + edit.text + text[edit.end - offset :]
    return text


def sliced(source: Source, span: range, edits: Sequence[Edit]) -> str:
    """The text of these tokens, with the edits that lie in it made."""
    if not span:
        return ""
    start, end = source.tokens[span[0]].start, source.tokens[span[-1]].end
    within = [edit for edit in edits if start <= edit.start and edit.end <= end]
    return applied(source.text[start:end], within, start)
