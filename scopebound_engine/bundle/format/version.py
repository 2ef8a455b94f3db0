"""Semantic versions: parsed strictly, ordered by precedence (https://semver.org, 2.0.0)."""

import re
from dataclasses import dataclass, field
from typing import Final

_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_PRERELEASE_PART: Final = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER: Final = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-({_PRERELEASE_PART}(?:\.{_PRERELEASE_PART})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_MOST_CHARACTERS: Final = 64

# A part of a prerelease: numbers rank below words (paragraph 11.4.3).
_Part = tuple[int, int, str]


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version. Build metadata (`+…`) stands in `text` only: it has no part in `<` and `==`."""

    core: tuple[int, int, int]
    released: bool
    prerelease: tuple[_Part, ...]
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> "Version":
        """The version that `1.4.0-rc.1` spells. Raises ValueError."""
        match = _SEMVER.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
        if match is None:
            raise ValueError(f"not a semantic version of up to {_MOST_CHARACTERS} characters")
        major, minor, patch = (int(match[part]) for part in (1, 2, 3))
        parts = match[4].split(".") if match[4] else []
        return cls((major, minor, patch), not parts, tuple(map(_part, parts)), text)

    def __str__(self) -> str:
        return self.text


def _part(text: str) -> _Part:
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)
