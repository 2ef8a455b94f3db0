"""What is told of an evaluation, as values that a child hands to its parent as JSON."""

from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from scopebound_engine.errors import EvaluatorCrashedError

State = Literal["held", "failed", "unreached"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A value that was read: `path` as a policy writes it, such as `input.call_args.limit`.

    Where `state` is "absent" there was nothing, where "unknown" it is not known here what; then
    `value` is None. It is cut to a bounded size where it is not `whole`.
    """

    path: str
    state: Literal["known", "absent", "unknown"]
    value: Any
    whole: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression of a rule's body, and what it saw.

    `because` are the conditions of the rules it asks which decided it: where it failed, and where
    it is a `not` that held.
    """

    file: str
    line: int
    column: int
    text: str
    state: State
    values: tuple[Fact, ...]
    because: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What of the input was compared with something: `path` has its steps, without "input".

    `operator` is the plan's name for it; where `swapped`, the input's side was the right one.
    """

    path: tuple[Any, ...]
    operator: str
    swapped: bool
    other: Any
    held: bool


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that denied. `line` is the one it begins at, `source` its lines from there on.

    `violation` is the number, from 0, of the violation that it made.
    """

    code: str
    file: str
    line: int
    source: tuple[str, ...]
    violation: int
    conditions: tuple[Condition, ...]
    facts: tuple[Fact, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class Nearly:
    """A rule that did not deny: of its `conditions` so many `held`, and which one failed first.

    `codes` are those that it can deny with, as far as they are known.
    """

    codes: tuple[str, ...]
    file: str
    line: int
    held: int
    conditions: int
    failed: Condition


@dataclass(frozen=True, slots=True)
class Told:
    """Of one evaluation: the codes of its violations, primary first, and its rules.

    `fired` are in the order of the violations, `nearly` the nearest first.
    """

    codes: tuple[str, ...]
    fired: tuple[Fired, ...]
    nearly: tuple[Nearly, ...]


def decode(value: Any) -> Told:
    """From the object that `dataclasses.asdict` made. Raises EvaluatorCrashedError."""
    told: Told = _decode(Told, value)
    return told


def _decode(kind: Any, value: Any) -> Any:
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_decode(get_args(kind)[0], item) for item in value)
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        types = _types(kind)
        if value.keys() == types.keys():
            return kind(**{name: _decode(types[name], value[name]) for name in types})
    elif _is_of(kind, value):
        return value
    raise EvaluatorCrashedError("the child process answered with a malformed explanation")


def _is_of(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    return kind is Any or type(value) is kind


@lru_cache
def _types(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
