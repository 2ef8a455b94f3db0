"""`make bench-report`: the README's section of what deciding costs, written from the results.

A test holds the README to the results that are committed with it. What a person has to say of the
figures stands in `results/remarks.md`, and is made part of the section.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench import results, tables
from tests.bench.aims import DATABASES, DIMENSIONS, SHARE, Results, aims, by_kind, peak
from tests.bench.results import RESULTS, Row
from tests.bench.tables import number, percent

README = Path(__file__).parents[2] / "README.md"
BEGIN = "<!-- what it costs: written by make bench-report -->\n"
END = "<!-- what it costs: the end -->\n"
_SHOWN = {*DATABASES, *DIMENSIONS, "workers", "stages", "uploads"}
_CLOSED = """\
- **Closed model**: wrk with 1 to 16 connections, each of which waits for its answer. wrk adds the \
latencies of the calls that a stall kept from leaving.
- **Open model**: calls leave on a schedule at 30, 60 and 90 % of the best closed rate, whatever \
the service does, and a latency counts from the scheduled time. The generator is our own \
([`load.py`](tests/bench/load.py)), for it shares the processors with the service: its processor \
time is in the tables, as is wrk's. A call costs locust 0.4 ms of a processor with its quick \
client and 1 ms with the usual one (measured once), so that it would have measured itself.
- **Processor time** of a call is what all processes of the service and the database spent \
(`/proc/PID/stat`) over the calls answered: workers, evaluators, and others (the clerk, the \
master). In *units* it is counted in runs of a fixed piece of Python work, measured right before \
and after each row ([`calibration.py`](tests/bench/calibration.py)), which makes machines \
comparable.
- **Alone** is what one call's input and evaluation take in a process that does nothing else, on \
every processor at once, as at a peak; *of alone* is the whole call's processor time over it.
"""
_NOTES = {
    "tools": "One worker. Every tenth tool has a constraint; the call is of the last tool.",
    "arguments": "One worker. Most of it is one text that no rule reads.",
    "values": (
        "One worker, with `SCOPEBOUND_MAX_VALUES` at 20,000. Most values are in one list that no "
        "rule reads."
    ),
    "rules": (
        "One worker. The fewest are the nine of the API reference; what is added to them is of "
        "the kinds that operators write ([`rules.py`](tests/bench/rules.py))."
    ),
}


def main() -> None:
    """Draw the plots and write the section."""
    from tests.bench.plots import draw

    found = results.read_all()
    for file in draw(found):
        print(file)
    README.write_text(replaced(README.read_text(), section(found)))
    print(f"{README}: {len(found)} parts")


def replaced(page: str, text: str) -> str:
    """The page with this text between the marks. Raises ValueError where there are none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN.strip()} with its {END.strip()} behind it")
    return f"{before}{BEGIN}{text}{END}{after}"


def section(found: Results, folder: Path = RESULTS) -> str:
    """What stands between the marks."""
    remarks = folder / "remarks.md"
    parts = [*_parts(found)]
    if remarks.exists():
        parts.insert(1, remarks.read_text())
    return "\n".join(["", *parts, ""]) if parts else ""


def _parts(found: Results) -> Iterator[str]:
    if measured := [found[part] for part in found if part in _SHOWN]:
        yield _where(measured)
        yield _met(found)
        yield from _expected(found)
        yield f"How it was measured:\n\n{_CLOSED}"
    yield from _databases(found)
    yield from _dimensions(found)
    for part in sorted(found.keys() - _SHOWN):
        yield _other(part, found[part])


def _where(measured: list[Mapping[str, Any]]) -> str:
    loads = [result["machine"]["load_before"] for result in measured]
    units = [result["calibration"]["unit_us"] for result in measured]
    machine, dates = measured[0]["machine"], sorted({result["date"] for result in measured})
    minutes = sum(result["seconds"] for result in measured) / 60
    return (
        f"Measured by `make bench` on {' and '.join(dates)} in {minutes:.0f} minutes, on one "
        f"machine of {machine['processors']} processors that ran service, database and load, with "
        f"Python {machine['python']}; the load average before a part was {min(loads):.1f} to "
        f"{max(loads):.1f}, and the unit of work took {min(units):.0f} to {max(units):.0f} µs. "
        "Everything was switched on: tokens, limits, drift with a baseline, the decision log.\n"
    )


def _met(found: Results) -> str:
    return tables.markdown("aims", [aim._asdict() for aim in aims(found)])


def _expected(found: Results) -> Iterator[str]:
    for part, database in DATABASES.items():
        if part in found:
            row = peak(found[part])
            memory = row["memory_mb"]
            held = ", ".join(f"{kind} {size:.0f} MB" for kind, size in memory.items() if size)
            yield (
                f"**What to expect per core, {database}:** a call of the typical kind takes "
                f"{number(row['cpu_us'])} µs of processors ({by_kind(row)}), so a core that does "
                f"nothing else decides about {number(1e6 / row['cpu_us'])} calls a second. Two "
                f"workers hold {held} (PSS).\n"
            )


def _databases(found: Results) -> Iterator[str]:
    for part, database in DATABASES.items():
        if part in found:
            yield f"### {database}, two workers\n\n{_table(part, found)}"
    if loaded := list(_loaded(found)):
        title = f"### Where a decision's time goes, at {percent(SHARE)} of the peak"
        yield f"{title}\n\n{tables.markdown('loaded', loaded)}"
        yield "![latency against load](tests/bench/results/latency.svg)\n"
    if "workers" in found:
        yield f"### One, two and four workers\n\n{_table('workers', found)}"
    if "stages" in found:
        yield f"### Where a lone client's request goes\n\n{_table('stages', found)}"
    if "uploads" in found:
        yield (
            "An upload of the shipped bundle with all its tests, gate and activation included, "
            f"takes {number(found['uploads']['rows'][-1]['s'])} s (median).\n"
        )


def _loaded(found: Results) -> Iterator[Row]:
    """The rows of the open model that the aims are of."""
    for part, database in DATABASES.items():
        for row in found[part]["rows"] if part in found else ():
            if row.get("share") == SHARE:
                yield {**row, "database": database}


def _dimensions(found: Results) -> Iterator[str]:
    shown = [part for part in DIMENSIONS if part in found]
    for part in shown:
        yield f"### Cost against {DIMENSIONS[part]}\n\n{_NOTES[part]}\n\n{_table(part, found)}"
    if shown:
        yield "![cost against size](tests/bench/results/cost.svg)\n"


def _other(part: str, result: Mapping[str, Any]) -> str:
    note = f"{result['note']}\n\n" if "note" in result else ""
    return f"### {result.get('title', part)}\n\n{note}{_table(part, {part: result})}"


def _table(part: str, found: Results) -> str:
    return tables.markdown(part, found[part]["rows"])


if __name__ == "__main__":
    main()
