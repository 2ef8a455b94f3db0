from typing import Any

import pytest

from scopebound_engine.bundle.format.thresholds import Thresholds, missed, problems

COUNTED = {"min_tests": 5, "max_skipped_tests": 1, "max_warnings": 0}


@pytest.mark.parametrize(
    "value", [{}, {"min_tests": 0}, {"max_rules": 1_000_000, "max_warnings": 0, "min_tests": 3}]
)
def test_known_names_with_whole_numbers_are_fine(value: Any) -> None:
    assert list(problems(value)) == []
    Thresholds(**value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "thresholds is an array, not an object"),
        (None, "thresholds is null, not an object"),
        ({"min_test": 1}, 'thresholds: "min_test" is none of min_tests, max_skipped_tests'),
        ({"min_tests": -1}, "thresholds: min_tests must be a whole number from 0 to 1,000,000"),
        ({"min_tests": 1_000_001}, "thresholds: min_tests must be a whole number"),
        ({"max_rules": 1.5}, "thresholds: max_rules must be a whole number"),
        ({"max_rules": True}, "thresholds: max_rules must be a whole number"),
        ({"max_warnings": None}, "thresholds: max_warnings must be a whole number"),
    ],
)
def test_anything_else_is_a_sentence(value: Any, said: str) -> None:
    (sentence,) = problems(value)
    assert sentence.startswith(said)


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        (Thresholds(), []),
        (Thresholds(min_tests=5, max_skipped_tests=1, max_rules=0, max_warnings=0), []),
        (Thresholds(min_tests=6), ["min_tests is 6, and there are 5"]),
        (
            Thresholds(min_tests=6, max_skipped_tests=0),
            ["min_tests is 6, and there are 5", "max_skipped_tests is 0, and there are 1"],
        ),
    ],
)
def test_bounds_that_are_not_kept_are_told(thresholds: Thresholds, said: list[str]) -> None:
    assert list(missed(thresholds, COUNTED)) == said
