"""What an evaluation read of its documents, as it is told: paths with values of bounded size."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from scopebound_engine.rego.tracing.happenings import Happening, Passage
from scopebound_engine.rego.tracing.told import Comparison, Fact
from scopebound_engine.rego.tracing.values import UNKNOWN, Path, Value

_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_CHARACTERS: Final = 200
_ITEMS: Final = 10
_DEPTH: Final = 4
_ORDERED: Final = frozenset({"lt", "lte", "gt", "gte"})
_COMPARES: Final = _ORDERED | {"equal", "neq", "internal.member_2", "Equal", "NotEqual"}
_MOST: Final = 60


def happenings(passages: Iterable[Passage]) -> Iterator[Happening]:
    """All that happened there and in the rules that were asked, each of these once."""
    seen: set[int] = set()
    waiting = [iter(passages)]
    while waiting:
        passage = next(waiting[-1], None)
        if passage is None:
            waiting.pop()
            continue
        for happening in passage.happenings:
            yield happening
            waiting.append(iter(happening.inside))
            run = happening.run
            if run is not None and id(run) not in seen:
                seen.add(id(run))
                waiting.append(iter(run.passages))


def read_by(found: Iterable[Happening]) -> list[Fact]:
    """The facts that were read there: each by its path, with its value or that it is absent.

    Of an object that was only passed through, what was read in it is told instead.
    """
    values: dict[Path, Any] = {}
    for happening in found:
        for path, content in _read(happening):
            values.setdefault(path, content)
    passed = {path[:length] for path in values for length in range(len(path))}
    told = [told_as(spelled(path), of) for path, of in values.items() if path not in passed]
    return told[:_MOST]


def _read(happening: Happening) -> Iterator[tuple[Path, Any]]:
    result = happening.result
    if result is not None and result.path and happening.held:
        yield result.path, result.content
    elif happening.statement.kind == "Dot" and not happening.held:
        source, key = happening.reads
        if source.path is not None and type(key.content) in (str, int):
            yield (*source.path, key.content), ABSENT
    elif happening.statement.fields.get("func") == "object.get" and happening.held:
        source, key = happening.reads[:2]
        if source.path is not None and type(key.content) is str:
            yield (*source.path, key.content), ABSENT
    if happening.statement.kind != "Dot":
        for value in happening.reads:
            if value.path is not None and len(value.path) > 1:
                yield value.path, value.content


ABSENT: Final = object()


def told_as(name: str, content: Any) -> Fact:
    """A value as it is told."""
    if content is ABSENT or content is UNKNOWN:
        return Fact(name, "absent" if content is ABSENT else "unknown", None, True)
    value, whole = _cut(content, 0)
    return Fact(name, "known", value, whole)


def spelled(path: Path) -> str:
    """A path as a policy writes it."""
    text = ""
    for step in path:
        if type(step) is str and _NAME.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{step}]" if type(step) is int else f'["{str(step)[:_CHARACTERS]}"]'
    return text


def _cut(content: Any, depth: int) -> tuple[Any, bool]:
    if isinstance(content, str):
        whole = len(content) <= _CHARACTERS
        return content if whole else f"{content[: _CHARACTERS - 1]}…", whole
    if isinstance(content, list | dict):
        return _cut_items(content, depth)
    return ("…", False) if content is UNKNOWN else (content, True)


def _cut_items(content: Any, depth: int) -> tuple[Any, bool]:
    keys = list(content) if isinstance(content, dict) else range(len(content))
    if depth >= _DEPTH and keys:
        return "…", False
    parts = [(_cut(key, depth)[0], _cut(content[key], depth + 1)) for key in keys[:_ITEMS]]
    whole = len(keys) <= _ITEMS and all(part[1] for _, part in parts)
    if isinstance(content, dict):
        return {key: part[0] for key, part in parts}, whole
    items = [part[0] for _, part in parts]
    return (items if len(keys) <= _ITEMS else [*items, "…"]), whole


def comparisons(found: Iterable[Happening]) -> list[Comparison]:
    """What was compared of the input with something, and whether it held; each once."""
    found_already: dict[str, Comparison] = {}
    for happening in found:
        fields = happening.statement.fields
        name = fields.get("func") or happening.statement.kind
        if name in _COMPARES and len(happening.reads) == 2:
            left, right = happening.reads
            for one in _sides(name, left, right, _outcome(happening)):
                found_already.setdefault(repr(one), one)
    return list(found_already.values())[:_MOST]


def _outcome(happening: Happening) -> bool:
    result = happening.result
    return happening.held and (result is None or result.content is True)


def _sides(name: str, left: Value, right: Value, outcome: bool) -> Iterator[Comparison]:
    for one, other, swapped in ((left, right, False), (right, left, True)):
        if one.path is not None and one.path[0] == "input" and len(one.path) > 1:
            content, whole = _cut(other.content, 0)
            if whole:
                yield Comparison(one.path[1:], name, swapped, content, outcome)


def made(found: Iterable[Happening]) -> Iterator[Fact]:
    """What built-ins made that was looked at: `count(…)` with its value."""
    tests = (one for one in found if one.statement.kind in ("Call", "Equal", "NotEqual"))
    for happening in tests:
        for value in happening.reads:
            if value.maker and value.path is None and type(value.content) is not bool:
                yield told_as(f"{value.maker}(…)", value.content)


def distance(found: Iterable[Happening]) -> float:
    """How far two numbers are apart that were compared, the closest of them: 0 to 1, of the larger.

    1 where none were.
    """
    closest = 1.0
    for happening in found:
        if happening.statement.fields.get("func") in _ORDERED:
            numbers = [value.content for value in happening.reads]
            if all(type(number) in (int, float) for number in numbers):
                one, other = numbers
                closest = min(closest, abs(one - other) / max(abs(one), abs(other), 1))
    return closest
