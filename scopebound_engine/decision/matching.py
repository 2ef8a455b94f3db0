"""Patterns of roles, matched on real strings by RE2 in linear time. The only importer of re2.

A pattern matches anywhere in the value, as OPA's `regex.match` does; `$` without `(?m)` is the end
of the text, not the place before a last line break. `^(?!A)B`, which RE2 has no word for, is
computed as "not `^(?:A)` and `^(?:B)`", because a published role template uses it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2

from scopebound_engine.errors import InputError

MAX_PATTERN_LENGTH: Final = 2_000
# RE2 keeps its automaton in this; where it would need more it goes on without one, at up to 6 ns
# (measured) for each instruction of the pattern and byte of the value. `Pattern.steps` counts that.
_MAX_MEMORY_BYTES: Final = 2 << 20
_CACHED_PATTERNS: Final = 256

# What RE2's message quotes -> the construct's name and what to write instead.
_CONSTRUCTS: Final[Mapping[str, tuple[str, str]]] = {
    "(?!": (
        "a negative lookahead",
        "only ^(?!A)B at the very start is understood, without | outside of groups",
    ),
    "(?=": ("a lookahead", "write two constraints on the field, all of them have to hold"),
    "(?<=": ("a lookbehind", "put what must stand before into the pattern itself"),
    "(?<!": ("a negative lookbehind", "write what may stand before, for example (?:^|[^a])b"),
    "(?>": ("an atomic group", "write (?:…), RE2 never backtracks"),
    "(?(": ("a conditional", "write both cases as (?:a|b)"),
    "(?#": ("a comment", "leave it out"),
    "(?P": ("a reference to a named group", "write the text again in its place"),
    "\\k": ("a backreference", "write the text again in its place"),
    "\\Z": ("\\Z", "write \\z for the end of the text"),
    "\\u": ("a \\u escape", "write \\x{…} or the character itself"),
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; safe to share between threads."""

    _required: Any
    _refused: Any | None

    def found_in(self, text: bytes) -> bool:
        """Whether the pattern matches anywhere in a value, given as UTF-8."""
        if self._refused is not None and self._refused.search(text) is not None:
            return False
        return self._required.search(text) is not None

    def steps(self, length: int) -> int:
        """The most steps a value of that many bytes can cost, of up to 6 ns each."""
        size = self._required.programsize + (self._refused.programsize if self._refused else 0)
        return int(size) * length


@lru_cache(maxsize=_CACHED_PATTERNS)
def compile_pattern(text: str) -> Pattern:
    """The pattern, from a cache where it was compiled before.

    Raises InputError (its field is empty) that names what RE2 does not understand and what to write
    instead.
    """
    if len(text) > MAX_PATTERN_LENGTH:
        raise InputError("", f"the pattern is longer than {MAX_PATTERN_LENGTH} characters")
    refused, rest = split_lookahead(text)
    if refused is None:
        return Pattern(_compile(text), None)
    for part in (refused, rest):
        _compile(part)  # alone too, so that a stray ) cannot close the group it is put in
    return Pattern(_compile(f"^(?:{rest})"), _compile(f"^(?:{refused})"))


def split_lookahead(text: str) -> tuple[str | None, str]:
    """`^(?!A)B` as (A, B); any other pattern as (None, the pattern).

    With a `|` at the top level of B the lookahead would guard only its first alternative, so such
    a pattern is left as it is, for RE2 to refuse.
    """
    if not text.startswith("^(?!"):
        return None, text
    closing, rest_is_plain = _outline(text, len("^(?!"))
    if closing < 0 or not rest_is_plain:
        return None, text
    return text[len("^(?!") : closing], text[closing + 1 :]


_TOKEN: Final = re.compile(r"\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|.", re.S)


def _outline(text: str, start: int) -> tuple[int, bool]:
    """Where the group that is open at `start` closes (-1: nowhere), and no top-level | after it."""
    depth, closing = 1, -1
    for token in _TOKEN.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0 and closing < 0:
            closing, depth = token.start(), 1
        elif depth == 1 and closing >= 0 and token[0] == "|":
            return closing, False
    return closing, True


def _compile(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MAX_MEMORY_BYTES
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise InputError("", _refusal(error.args[0].decode("utf-8", "replace"))) from error


def _refusal(message: str) -> str:
    kind, _, what = message.partition(": ")
    for start, (name, remedy) in _CONSTRUCTS.items():
        if what.startswith(start):
            return f"{name} is not supported by RE2: {remedy}"
    if kind == "invalid escape sequence" and what[1:].isdigit():
        return "a backreference is not supported by RE2: write the text again in its place"
    if kind == "bad repetition operator":
        return (
            f"{what} (a possessive or a second quantifier) is not supported by RE2:"
            " write one quantifier, it never backtracks"
        )
    return f"RE2 does not accept the pattern: {message}"
