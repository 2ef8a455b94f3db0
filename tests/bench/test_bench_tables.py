"""Rows of results as tables."""

import pytest

from tests.bench import tables


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (0.123, "0.12"),
        (1.0, "1"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234.5, "1,234"),
        (-12.34, "-12.3"),
    ],
)
def test_numbers_have_the_digits_that_say_something(value: float | None, text: str) -> None:
    assert tables.number(value) == text


def test_an_unknown_part_shows_the_plain_values_of_its_rows() -> None:
    rows = [
        {"name": "clerk", "last_mb": 77.54, "flat": True, "samples": [1, 2]},
        {"name": "worker", "last_mb": 100, "flat": False},
    ]
    assert tables.markdown("memory", rows) == (
        "|  | last mb | flat |\n| --- | ---: | --- |\n| clerk | 77.5 | yes |\n"
        "| worker | 100 | no |\n"
    )


def test_a_table_for_a_terminal_is_aligned() -> None:
    rows = [{"name": "one", "us": 5, "share": 1.0, "database": "SQLite"}]
    assert tables.plain("stages", rows) == ("             µs    share\nSQLite  one   5  100.0 %")


def test_what_a_row_lacks_is_left_empty() -> None:
    cell = tables.of("workers", "cpu_by_kind_us", "workers").cell
    assert cell({"cpu_by_kind_us": {"workers": 5.0}}) == "5"
    assert cell({"cpu_by_kind_us": {}}) == cell({}) == ""
