"""Rows of results as tables, for terminals and for Markdown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.bench.results import Row


class Column(NamedTuple):
    """A heading, and what of a row stands below it."""

    heading: str
    cell: Callable[[Row], str]


def number(value: float | None) -> str:
    """Three digits, or as many as a whole number has; nothing for none."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2}f}"


def of(heading: str, *names: str) -> Column:
    """A column of numbers: a name, or names that lead from one mapping to the next."""

    def cell(row: Row) -> str:
        value: Any = row
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, bool):
            return "yes" if value else "no"
        return value if isinstance(value, str) else number(value)

    return Column(heading, cell)


LATENCIES = (
    of("p50 ms", "p50_ms"),
    of("p90", "p90_ms"),
    of("p99", "p99_ms"),
    of("p99.9", "p999_ms"),
)
KINDS = (
    of("workers", "cpu_by_kind_us", "workers"),
    of("evaluators", "cpu_by_kind_us", "evaluators"),
    of("others", "cpu_by_kind_us", "others"),
    of("database", "cpu_by_kind_us", "database"),
)
GENERATOR = of("generator", "cpu_by_kind_us", "generator")
COST = (of("CPU µs", "cpu_us"), of("units", "cpu_units"))
ALONE = (of("alone µs", "alone_us"), of("of alone", "over_alone"))
MODELS = (of("", "name"), of("calls/s", "per_second"), *LATENCIES, *COST, *KINDS, GENERATOR, *ALONE)
SIZES = (
    of("", "name"),
    of("lone p50 ms", "lone_p50_ms"),
    of("p99", "lone_p99_ms"),
    of("calls/s", "per_second"),
    *COST,
    *KINDS[:3],
    *ALONE,
)
COLUMNS: dict[str, Sequence[Column]] = {
    "loaded": (
        of("µs on average", "database"),
        *(of(stage, "stages_us", stage) for stage in ("token", "state", "facts", "policy")),
        of("record", "stages_us", "journal"),
        of("arrival to record", "stages_us", "all"),
    ),
    "sqlite": MODELS,
    "postgres": MODELS,
    "workers": (of("workers", "workers"), *MODELS[:-2]),
    "tools": SIZES,
    "arguments": SIZES,
    "values": SIZES,
    "rules": SIZES,
    "aims": (
        of("figure", "figure"),
        of("aim", "aim"),
        of("measured", "found"),
        Column("", lambda row: "met" if row["met"] else "missed"),
        of("what holds it", "held"),
    ),
    "stages": (
        of("", "database"),
        of("", "name"),
        of("µs", "us"),
        Column("share", lambda row: percent(row["share"], 1)),
    ),
}


def columns(part: str, rows: Sequence[Row]) -> Sequence[Column]:
    """The columns of a part; those of an unknown one are its first row's plain values."""
    if part in COLUMNS:
        return COLUMNS[part]
    plain = (int, float, str)
    names = [name for name, value in (rows[0] if rows else {}).items() if isinstance(value, plain)]
    return [of("" if name == "name" else name.replace("_", " "), name) for name in names]


def cells(part: str, rows: Sequence[Row]) -> list[list[str]]:
    """The headings, and a list for each row."""
    chosen = columns(part, rows)
    return [[column.heading for column in chosen], *([c.cell(row) for c in chosen] for row in rows)]


def plain(part: str, rows: Sequence[Row]) -> str:
    """For a terminal: text to the left, numbers to the right."""
    lines = cells(part, rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    places = [">" if right else "<" for right in _numeric(lines)]
    return "\n".join(
        "  ".join(
            f"{cell:{place}{width}}"
            for cell, place, width in zip(line, places, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def markdown(part: str, rows: Sequence[Row]) -> str:
    """For a page; its last line ends with a newline."""
    head, *lines = cells(part, rows)
    rule = ["---:" if right else "---" for right in _numeric([head, *lines])]
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, rule, *lines])


def percent(share: float, digits: int = 0) -> str:
    """A share as people write it."""
    return f"{100 * share:.{digits}f} %"


def _numeric(lines: Sequence[Sequence[str]]) -> list[bool]:
    """Of each column but the first, which names the row, whether it holds nothing but numbers."""
    _, *columns = zip(*lines[1:], strict=True) if lines[1:] else [()] * len(lines[0])
    return [False, *(all(cell == "" or cell[-1] in "0123456789%" for cell in c) for c in columns)]
