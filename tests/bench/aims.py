"""What was aimed at, what was measured, and where it is missed, what holds it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.bench.figures import LINEAR, growth
from tests.bench.results import Row
from tests.bench.tables import number, percent

Results = Mapping[str, Any]
DATABASES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
# Of the parts along one dimension: what is counted there.
DIMENSIONS = {
    "tools": "tools of the role",
    "arguments": "bytes of arguments",
    "values": "values in arguments",
    "rules": "rules of the bundle",
}
SHARE = 0.6
P50_MS, P99_MS, PER_CORE, OVER_ALONE, VALUES_MS = 0.8, 4.0, 1200.0, 2.0, 5.0
# Of a lone client's request.
SHARES = {"state": 0.25, "log": 0.10}
_STAGES = {
    "token": "the token",
    "state": "session state",
    "facts": "the facts",
    "policy": "the policy with its way to the evaluator and back",
    "journal": "the record",
}


class Aim(NamedTuple):
    """One figure: what it is of, its aim and what was found in words, and what holds it."""

    figure: str
    aim: str
    found: str
    met: bool
    held: str


def aims(results: Results) -> list[Aim]:
    """Every figure of which there are results."""
    found = [
        aim
        for part, database in DATABASES.items()
        if part in results
        for aim in _database(results[part], database)
    ]
    if "values" in results:
        found += _many_values(results["values"]["rows"])
    if "stages" in results:
        found += _shares(results["stages"]["rows"])
    return found + [_growth(part, results[part]["rows"]) for part in DIMENSIONS if part in results]


def peak(result: Mapping[str, Any]) -> Row:
    """The row of a database's results that answered most calls a second."""
    row: Row = max(result["rows"], key=lambda row: row["per_second"])
    return row


def slowest_stage(row: Row) -> str:
    """The stage that a decision's time goes to most, on average, between arrival and record."""
    spent = {name: row["stages_us"].get(name, 0.0) for name in _STAGES}
    name = max(spent, key=lambda name: spent[name])
    whole = row["stages_us"]["all"]
    return f"{_STAGES[name]}: {number(spent[name])} of {number(whole)} µs on average"


def by_kind(row: Row) -> str:
    """Who spends the processor time of a call."""
    kinds = row["cpu_by_kind_us"].items()
    return ", ".join(
        f"{kind} {number(spent)} µs" for kind, spent in kinds if kind != "generator" and spent >= 1
    )


def _database(result: Mapping[str, Any], database: str) -> Iterator[Aim]:
    at_share = [row for row in result["rows"] if row.get("share") == SHARE]
    for row in at_share:
        for name, most in (("p50", P50_MS), ("p99", P99_MS)):
            found = row[f"{name}_ms"]
            figure = f"{name} at {percent(SHARE)} of the peak, {database}"
            yield _at_most(figure, found, most, " ms", slowest_stage(row))
    busiest = peak(result)
    rate = busiest["per_core"]
    generator = number(busiest["cpu_by_kind_us"]["generator"])
    held = f"a call takes {by_kind(busiest)}"
    yield Aim(
        f"calls a second and core at the peak, {database}",
        f"at least {number(PER_CORE)}",
        number(rate),
        rate >= PER_CORE,
        "" if rate >= PER_CORE else f"{held}, and of the same cores the generator {generator} µs",
    )
    if "over_alone" in busiest:
        figure = f"processor time of a call over input and evaluation alone, {database}"
        alone = f"alone {number(busiest['alone_us'])} µs; {held}"
        yield _at_most(figure, busiest["over_alone"], OVER_ALONE, "", alone)


def _many_values(rows: list[Row]) -> Iterator[Aim]:
    largest = max(rows, key=lambda row: row["size"])
    for name in ("p50", "p99"):
        figure = (
            f"{name} of a lone client's call with {largest['size']:,} values that no rule reads"
        )
        found = largest[f"lone_{name}_ms"]
        yield _at_most(figure, found, VALUES_MS, " ms", f"a call takes {by_kind(largest)}")


def _shares(rows: list[Row]) -> Iterator[Aim]:
    for row in rows:
        if most := SHARES.get(row["stage"]):
            figure = f"{row['name']}, share of a lone client's request, {row['database']}"
            found = percent(row["share"], 1)
            yield Aim(figure, f"at most {percent(most)}", found, row["share"] <= most, "")


def _growth(part: str, rows: list[Row]) -> Aim:
    found = growth([(row["size"], row["cpu_us"]) for row in rows])
    return Aim(
        f"growth of a call's processor time with the {DIMENSIONS[part]}",
        f"exponent at most 1 (and {LINEAR - 1:.1f} for noise)",
        f"{found.fitted:.2f}; steepest step {found.steepest:.2f}",
        found.linear,
        "",
    )


def _at_most(figure: str, found: float, most: float, unit: str, held: str) -> Aim:
    met = found <= most
    words = f"at most {number(most)}{unit}", f"{number(found)}{unit}"
    return Aim(figure, *words, met, "" if met else held)
