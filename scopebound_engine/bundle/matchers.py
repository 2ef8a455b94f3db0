"""The matchers of a bundle, ready to be tried on real strings: facts for its rules to judge.

A matcher answers one of four words: `yes` and `no`; `absent`, there is nothing at its path; and
`unfit`, it cannot be said, because what is there is no text, or not one of the kind, or too long
for the time that the patterns of one call have together.

Never in a process with the Rego engine, like `matching/`.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from scopebound_engine.bundle.format.manifest import FILE, Manifest
from scopebound_engine.bundle.format.matcher_specs import (
    MatcherSpec,
    glob_regex,
    holds_ipv4,
    network,
)
from scopebound_engine.errors import BundleError, Finding, InputError
from scopebound_engine.matching.anchoring import anchored
from scopebound_engine.matching.patterns import Budget, compile_pattern

Answer = Literal["absent", "unfit", "yes", "no"]
_Judge = Callable[[str, Budget], Answer]

_STEP: Final = "matchers"
_INDEX: Final = re.compile(r"0|[1-9][0-9]*")
_LONGEST_ADDRESS: Final = 45  # eight groups, the last two of them as IPv4
_ABSENT: Final = object()


class Matchers:
    """Compiled matchers. Immutable; threads may share them."""

    def __init__(self, specs: Mapping[str, MatcherSpec]) -> None:
        """Raises InputError where RE2 does not accept a pattern."""
        self._judges = {
            name: (spec.steps, _JUDGES[spec.operator](spec.patterns))
            for name, spec in specs.items()
        }

    @classmethod
    def of(cls, manifest: Manifest) -> "Matchers":
        """Those that a manifest declares. Raises BundleError with all that RE2 does not accept."""
        errors = [finding for finding in problems(manifest) if finding.level == "error"]
        if errors:
            raise BundleError("the matchers cannot be used", errors)
        return cls(manifest.matchers)

    def judge(self, document: Mapping[str, Any], budget: Budget | None = None) -> dict[str, Answer]:
        """What each matcher says of a Rego input, as strict JSON values; raises nothing.

        `budget` is what is left of the call's; without one, a whole one is used.
        """
        budget = budget or Budget()
        return {
            name: _answer(_found(document, steps), judge, budget)
            for name, (steps, judge) in self._judges.items()
        }


EMPTY: Final = Matchers({})


def problems(manifest: Manifest) -> Iterator[Finding]:
    """What RE2 does not accept, and warnings of patterns that let more through than it may seem."""
    for name, spec in manifest.matchers.items():
        for pattern in spec.patterns:
            if spec.operator == "regex":
                yield from _refused(name, pattern) or _loose(name, pattern)
            elif spec.operator == "glob":
                yield from _refused(name, glob_regex(pattern))


def _refused(name: str, pattern: str) -> list[Finding]:
    try:
        compile_pattern(pattern)
    except InputError as error:
        return [Finding(_STEP, f"matchers.{name}: {error.detail}", FILE)]
    return []


def _loose(name: str, pattern: str) -> list[Finding]:
    if all(anchored(pattern)):
        return []
    message = f'matchers.{name}: "{pattern}" says yes too where more stands around what it matches'
    remedy = "where the whole value is meant, tie it to both ends: ^(?:…)$"
    return [Finding(_STEP, message, FILE, remedy=remedy, level="warning")]


def _found(document: Mapping[str, Any], steps: Sequence[str]) -> Any:
    """The value at a path, or `_ABSENT`. None for what stands in the way of the path.

    A step into a list is a number of RFC 6901. Where the engine itself writes null, which is
    everywhere but in the arguments, it means that there is nothing.
    """
    value: Any = document
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step, _ABSENT)
        elif isinstance(value, list) and _INDEX.fullmatch(step):
            value = value[int(step)] if int(step) < len(value) else _ABSENT
        else:
            return None
        if value is _ABSENT:
            return _ABSENT
    return _ABSENT if value is None and steps[0] != "call_args" else value


def _answer(found: Any, judge: _Judge, budget: Budget) -> Answer:
    if found is _ABSENT:
        return "absent"
    # A step for each character, so that many matchers cannot read a long text without end.
    if not isinstance(found, str) or not budget.spend(len(found)):
        return "unfit"
    return judge(found, budget)


def _regex(patterns: Sequence[str]) -> _Judge:
    compiled = [compile_pattern(pattern) for pattern in patterns]

    def judge(text: str, budget: Budget) -> Answer:
        data = text.encode("utf-8")
        for pattern in compiled:
            if not budget.spend(pattern.steps(len(data))):
                return "unfit"
            if pattern.found_in(data):
                return "yes"
        return "no"

    return judge


def _glob(patterns: Sequence[str]) -> _Judge:
    return _regex([glob_regex(pattern) for pattern in patterns])


def _cidr(patterns: Sequence[str]) -> _Judge:
    networks = [network(pattern) for pattern in patterns]

    def judge(text: str, _budget: Budget) -> Answer:
        address = _address(text)
        if address is None:
            return "unfit"
        return _said(any(address in named for named in networks))

    return judge


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is in one of the usual spellings; others are ways around a rule.

    Not so: a zone (fe80::1%eth0), IPv4 in IPv6 (::ffff:10.0.0.1, 64:ff9b::a00:1), zeros in front
    (010.0.0.1), hex, a port, brackets, blanks.
    """
    if len(text) > _LONGEST_ADDRESS or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if holds_ipv4(ipaddress.ip_network(address)) else address


def _prefix(patterns: Sequence[str]) -> _Judge:
    return lambda text, _budget: _said(text.startswith(tuple(patterns)))


def _suffix(patterns: Sequence[str]) -> _Judge:
    return lambda text, _budget: _said(text.endswith(tuple(patterns)))


def _casefold_equals(patterns: Sequence[str]) -> _Judge:
    same = {_plain_fold(pattern) for pattern in patterns}
    alike = {_wide_fold(pattern) for pattern in patterns}
    longest = max(map(len, alike))

    def judge(text: str, _budget: Budget) -> Answer:
        # Folding and decomposing make no text shorter. And decomposing is quadratic in accents.
        if len(text) > longest:
            return "no"
        if _plain_fold(text) in same:
            return "yes"
        return "unfit" if _wide_fold(text) in alike else "no"

    return judge


def _plain_fold(text: str) -> str:
    """The text without case: `str.casefold`, but for what only looks like the ASCII it folds to.

    The Kelvin sign folds to k, long s to s, ß to ss, the ligatures of f and s to their letters.
    """
    folded = ((letter, letter.casefold()) for letter in text)
    return "".join(
        letter if small.isascii() and not letter.isascii() else small for letter, small in folded
    )


def _wide_fold(text: str) -> str:
    """Equal for two texts that differ in case, accents as written, width or ligatures alone.

    Compatibility caseless matching of the Unicode Standard (D146), without its last repetitions.
    """
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())


def _said(matched: bool) -> Answer:
    return "yes" if matched else "no"


_JUDGES: Final[Mapping[str, Callable[[Sequence[str]], _Judge]]] = {
    "regex": _regex,
    "glob": _glob,
    "cidr": _cidr,
    "prefix": _prefix,
    "suffix": _suffix,
    "casefold_equals": _casefold_equals,
}
