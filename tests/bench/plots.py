"""Plots of results, as SVG files that are the same whenever they are made of the same results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from tests.bench.aims import DATABASES, DIMENSIONS, Results
from tests.bench.results import RESULTS, digest

# No date, and ids that depend on nothing but what is drawn; text stays text.
_STYLE: Any = {"svg.hashsalt": "scopebound", "svg.fonttype": "none", "font.size": 9}
_COLOURS = {"sqlite": "#1f6f8b", "postgres": "#c05621"}


def draw(results: Results, folder: Path = RESULTS) -> list[Path]:
    """Draw what there are results for; the files."""
    drawn = []
    with matplotlib.rc_context(_STYLE):
        for name, shown, made in (("latency", DATABASES, _latency), ("cost", DIMENSIONS, _cost)):
            if shown.keys() & results.keys():
                file, words = folder / f"{name}.svg", {"Date": None, "Creator": None}
                made(results).savefig(file, metadata=words | {"Identifier": digest(results, shown)})
                drawn.append(file)
    return drawn


def _latency(results: Results) -> Figure:
    """Latencies against calls a second, open model."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for part, database in DATABASES.items():
        if part not in results:
            continue
        rows = [row for row in results[part]["rows"] if "share" in row]
        rates = [row["per_second"] for row in rows]
        for name, line in (("p50", "-"), ("p99", "--"), ("p999", ":")):
            values = [row[f"{name}_ms"] for row in rows]
            label = f"{database}, {name.replace('999', '99.9')}"
            axes.plot(rates, values, line, marker="o", color=_COLOURS[part], label=label)
    axes.set(xlabel="calls a second, on a schedule", ylabel="ms", yscale="log")
    _plain_numbers(axes)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _cost(results: Results) -> Figure:
    """Processor time of a call along each dimension."""
    found = {part: results[part] for part in DIMENSIONS if part in results}
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (part, result) in zip(panels, found.items(), strict=True):
        _panel(axes, part, result)
    panels[0].set_ylabel("µs of a processor")
    panels[0].legend(fontsize=8)
    return figure


def _panel(axes: Any, part: str, result: Mapping[str, Any]) -> None:
    rows = result["rows"]
    sizes = [row["size"] for row in rows]
    axes.plot(sizes, [row["cpu_us"] for row in rows], marker="o", label="the call")
    axes.plot(sizes, [row["alone_us"] for row in rows], "--", marker="o", label="evaluation alone")
    axes.set(xscale="log", yscale="log", xlabel=DIMENSIONS[part])
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    _plain_numbers(axes)
    axes.grid(visible=True, alpha=0.3)


def _plain_numbers(axes: Any) -> None:
    """Numbers as people write them, at one, two and five of each decade."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
