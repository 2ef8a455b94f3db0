"""What would keep the gate busy: bounds on source and on data, counted before the engine sees them.

Measured with regopy 1.5.2: it compiles 18,000 tokens in 5 s, and in far longer where they stand in
one rule; it takes 10,000 values of data in 2 s, 40,000 in half a minute. Lines and bytes say little
about it: a megabyte of comments, or of one text in the data, costs nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.source.syntax import Module

RULE_TOKENS: Final = 30_000
# The gate alone waits for these.
TEST_TOKENS: Final = 100_000
DATA_VALUES: Final = 10_000
# What is too large is not compiled.
_STEP: Final = "size"


def too_much_source(modules: Iterable[Module], most: int = RULE_TOKENS) -> Iterator[Finding]:
    """More names, numbers, texts and signs in all modules together than are compiled soon."""
    total = sum(len(module.source.tokens) for module in modules)
    if total > most:
        message = f"the source has {total:,} tokens; more than {most:,} are refused"
        yield Finding(_STEP, message, remedy="move what differs only in values into data.json")


def too_much_data(data: Any, most: int = DATA_VALUES) -> Iterator[Finding]:
    """More values in the data document, at all its depths, than are loaded soon."""
    total = _values_in(data)
    if total > most:
        message = f"the data has {total:,} values; more than {most:,} are refused"
        yield Finding(_STEP, message, remedy="every evaluator loads all of it; keep what rules use")


def _values_in(value: Any) -> int:
    total, waiting = 0, [value]
    while waiting:
        total += 1
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return total
