r"""Patterns of roles, matched on real strings by RE2 in linear time. The only importer of re2.

A pattern matches anywhere in the value, as OPA's `regex.match` does; `$` without `(?m)` is the end
of the text, not the place before a last line break. `^(?!A)B`, which RE2 has no word for, is
computed as "not `^(?:A)` and `^(?:B)`", because a published role template uses it.

Never in a process with the Rego engine: regopy and google-re2 bring C++ runtimes that mix, and
whichever was loaded second aborts ("free(): invalid size").

Syntax: https://github.com/google/re2/wiki/Syntax
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import re2

from scopebound_engine.errors import InputError

MAX_PATTERN_LENGTH: Final = 2_000
# What the patterns of one call may take together: 0.4 s at worst, usually under 3 ms.
MAX_MATCHING_STEPS: Final = 1 << 25
# RE2 keeps its automaton in this. Where it would need more it goes on without one, at up to 11 ns
# (measured) for each instruction of the pattern and byte of the value: Pattern.steps counts those.
_MAX_MEMORY_BYTES: Final = 2 << 20
_CACHED_PATTERNS: Final = 256

# How RE2's message quotes a construct -> its name and what to write instead.
_CONSTRUCTS: Final[Mapping[str, tuple[str, str]]] = {
    "(?!": (
        "a negative lookahead",
        "only ^(?!A)B at the very start is understood, once and with no | outside of groups",
    ),
    "(?=": ("a lookahead", "write two patterns apart, for both have to match"),
    "(?<=": ("a lookbehind", "put what must stand before into the pattern itself"),
    "(?<!": ("a negative lookbehind", "write what may stand before, for example (?:^|[^a])b"),
    "(?>": ("an atomic group", "write (?:…), RE2 never backtracks"),
    "(?(": ("a conditional", "write both cases as (?:a|b)"),
    "(?#": ("a comment", "leave it out"),
    "(?P": ("a reference to a named group", "write the text again in its place"),
    "\\k": ("a backreference", "write the text again in its place"),
    **{f"\\{n}": ("a backreference", "write the text again in its place") for n in range(1, 10)},
    "\\Z": ("\\Z", "write \\z for the end of the text"),
    "\\u": ("a \\u escape", "write \\x{…} or the character itself"),
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; threads may share it."""

    instructions: int
    _required: Any = field(repr=False)
    _refused: Any | None = field(repr=False)

    def found_in(self, text: bytes) -> bool:
        """Whether the pattern matches anywhere in a value, given as UTF-8."""
        if self._refused is not None and self._refused.search(text) is not None:
            return False
        return self._required.search(text) is not None

    def steps(self, length: int) -> int:
        """The most steps, of up to 11 ns each, that a value of `length` bytes can cost."""
        return self.instructions * length


class Budget:
    """The steps that are left to the patterns of one call, those of its role and of the bundle."""

    def __init__(self, steps: int = MAX_MATCHING_STEPS) -> None:
        self._left = steps

    def spend(self, steps: int) -> bool:
        """Take steps; whether there were so many. Once there were not, it is over for this call."""
        self._left -= steps
        return self._left >= 0


@lru_cache(maxsize=_CACHED_PATTERNS)
def compile_pattern(text: str) -> Pattern:
    """The pattern, from a cache where it was compiled before.

    Raises InputError (its field is empty) that names what RE2 does not understand and what to write
    instead.
    """
    if len(text) > MAX_PATTERN_LENGTH:
        raise InputError("", f"the pattern is longer than {MAX_PATTERN_LENGTH} characters")
    ahead, rest = split_lookahead(text)
    if ahead is None:
        whole = _compile(text)
        return Pattern(whole.programsize, whole, None)
    for part in (ahead, rest):
        _compile(part)  # alone too, so that a stray ) cannot close the group it is put in
    required, refused = _compile(f"^(?:{rest})"), _compile(f"^(?:{ahead})")
    return Pattern(required.programsize + refused.programsize, required, refused)


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
    if kind == "bad repetition operator":
        name, remedy = f"{what} (possessive, or a second quantifier)", "write one quantifier"
        return f"{name} is not supported by RE2: {remedy}"
    for start, (name, remedy) in _CONSTRUCTS.items():
        if what.startswith(start):
            return f"{name} is not supported by RE2: {remedy}"
    return f"RE2 does not accept the pattern: {message}"


# One piece of a pattern, as far as groups, alternatives, anchors and quantifiers tell them apart.
PIECE: Final = re.compile(
    r"""\\Q.*?(?:\\E|\Z) | \\. | \[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]  # literals, classes
      | \(\?[imsU-]+\) | \((?:\?P?<\w+>|\?[imsU-]*:)?       # flags and groups
      | [*+?]\?? | \{\d+(?:,\d*)?\}\?? | .                  # quantifiers, all else""",
    re.S | re.X,
)


def split_lookahead(text: str) -> tuple[str | None, str]:
    """`^(?!A)B` as (A, B); any other pattern as (None, the pattern).

    With a `|` at the top level of B the lookahead would guard only its first alternative, so such
    a pattern is left as it is, for RE2 to refuse.
    """
    start, depth, closing = len("^(?!"), 1, -1
    if not text.startswith("^(?!"):
        return None, text
    for piece in PIECE.finditer(text, start):
        opens = piece[0].startswith("(") and not piece[0].endswith(")")
        depth += opens - (piece[0] == ")")
        if depth == 0 and closing < 0:
            closing, depth = piece.start(), 1
        elif depth == 1 and closing >= 0 and piece[0] == "|":
            return None, text
    return (None, text) if closing < 0 else (text[start:closing], text[closing + 1 :])
