"""What is too large to be compiled or loaded soon, counted without the engine."""

from typing import Any

import pytest

from scopebound_engine.rego.checks.sizes import too_much_data, too_much_source
from tests.rego.plans import parsed

LINES = "package t\n# a comment costs nothing\nx if {\n" + "\tn == n; n == n\n" * 10 + "}\n"
TOKENS = 2 + 4 + 10 * 7


def test_source_is_counted_by_its_tokens_over_all_files() -> None:
    assert list(too_much_source(parsed(LINES, LINES), 2 * TOKENS)) == []
    (finding,) = too_much_source(parsed(LINES, LINES), 2 * TOKENS - 1)
    assert (finding.level, finding.step) == ("error", "size")
    assert finding.message == f"the source has {2 * TOKENS} tokens; more than 151 are refused"


@pytest.mark.parametrize(
    ("data", "values"),
    [({}, 1), ({"a": [1, 2], "b": {"c": "x" * 10_000}}, 6), ([[[[]]]], 4)],
)
def test_data_is_counted_by_its_values_at_all_depths(data: Any, values: int) -> None:
    assert list(too_much_data(data, values)) == []
    (finding,) = too_much_data(data, values - 1)
    assert (finding.level, finding.step) == ("error", "size")
    assert finding.message.startswith(f"the data has {values} values")


def test_data_of_any_depth_is_counted() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert list(too_much_data(deep, 5_001)) == []
