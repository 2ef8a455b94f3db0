"""Bounds that a bundle sets itself in its manifest, and the gate holds it to.

They count what is the same on every machine; what a call may take in time is the engine's affair.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from scopebound_engine import strict_json

_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Thresholds:
    """None where nothing is demanded.

    `min_tests`: so many tests run. `max_skipped_tests`: so many are still to be done
    (`todo_test_…`). `max_rules`: so many rules, tests apart; never more than the gate allows.
    `max_warnings`: so many warnings of the gate, those of an acknowledged floor apart.
    """

    min_tests: int | None = None
    max_skipped_tests: int | None = None
    max_rules: int | None = None
    max_warnings: int | None = None


NAMES: Final = tuple(field.name for field in fields(Thresholds))


def problems(value: Any) -> Iterator[str]:
    """A sentence for all that keeps a manifest's `thresholds` from being a Thresholds."""
    if not isinstance(value, dict):
        yield f"thresholds is {strict_json.type_name(value)}, not an object"
        return
    for name, bound in value.items():
        if name not in NAMES:
            shown = strict_json.quote(name[:64])
            yield f"thresholds: {shown} is none of {', '.join(NAMES)}"
        elif type(bound) is not int or not 0 <= bound <= _MOST:
            yield f"thresholds: {name} must be a whole number from 0 to {_MOST:,}"


def missed(thresholds: Thresholds, counted: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each bound that is not kept; `counted` has the number for each name."""
    for name in NAMES:
        bound: int | None = getattr(thresholds, name)
        if bound is None or name not in counted:
            continue
        fits = counted[name] >= bound if name.startswith("min_") else counted[name] <= bound
        if not fits:
            yield f"{name} is {bound}, and there are {counted[name]}"
