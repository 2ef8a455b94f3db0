"""The parts of the benchmark: each measures rows of one kind and records them."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import aims, load, measure, results, scenario, tables
from tests.bench.peers.server import bare as bare_stack
from tests.bench.results import Row
from tests.bench.rules import shipped, with_rules
from tests.bench.scenario import Scenario
from tests.bench.service import Service, service
from tests.bench.stages import shares, stages
from tests.bundles import packed, server_key
from tests.servers import RunningServer

WORKERS = 2
LOADS = (0.3, 0.6, 0.9)
# The open model's percentiles of a thousandth take longer than those of a row.
_OPEN = 2
_UPLOADS = 5
_BARE = (
    "The bare stack, gunicorn and Falcon with two workers that decide nothing, under the open "
    "model. What it waits for is the machine: its processors are shared with others. Where "
    "microseconds are named, each call computes for as long as one of Scopebound takes of all "
    "processes, at the rate of 60 % of the peak on SQLite: what calls of that length wait for one "
    "another on two processors, in the simplest server there is."
)


@dataclass(frozen=True)
class Run:
    """How long a row takes, whether few rows do, and where results go, if anywhere.

    `found` is what was recorded so far, by part.
    """

    seconds: float
    quick: bool
    folder: Path | None
    found: dict[str, Any] = field(default_factory=dict)

    def some(self, *all_of: Any) -> tuple[Any, ...]:
        """All of these, or the first and the last where few rows do."""
        return (all_of[0], all_of[-1]) if self.quick else all_of

    @contextmanager
    def recording(self, part: str, **settings: Any) -> Iterator[list[Row]]:
        """The rows of a part, written and printed at its end."""
        settings |= {"seconds_a_row": self.seconds}
        with results.recording(part, settings, self.folder) as rows:
            yield rows
        self.found[part] = {"rows": rows}
        print(f"\n{part}\n{tables.plain(part, rows)}", flush=True)


def bare(run: Run) -> None:
    """What the machine and the stack alone do to latencies, at rates like those of a service.

    The last row, where SQLite was measured before, is of calls that take as much of a processor as
    those of the service.
    """
    settings = {"workers": WORKERS, "seconds_a_row": run.seconds}
    words = {"title": "What the machine does to latencies", "note": _BARE}
    body = json.dumps({"tool_name": scenario.TYPICAL.tool, "call_args": scenario.ARGUMENTS})
    with results.recording("bare", settings, run.folder, **words) as rows:
        with bare_stack(WORKERS) as server:
            rows += [_bare(run, server, body, rate) for rate in run.some(300, 600, 900)]
        for like in run.found.get("sqlite", {"rows": ()})["rows"]:
            if like.get("share") == aims.SHARE:
                with bare_stack(WORKERS, like["cpu_us"]) as server:
                    row = _bare(run, server, body, like["per_second"])
                rows.append({**row, "name": f"{row['name']} of {like['cpu_us']:,.0f} µs each"})
    print(f"\nbare\n{tables.plain('bare', rows)}", flush=True)


def _bare(run: Run, server: RunningServer, body: str, rate: float) -> Row:
    load.closed(server, [body], 4, run.seconds / 4)
    found, _ = load.opened(server, [body], rate, _OPEN * run.seconds)
    return {"name": f"{rate:.0f} calls a second", **found._asdict()}


@contextmanager
def serving(**settings: Any) -> Iterator[Service]:
    """A service in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), **settings) as found:
        yield found


def sqlite(run: Run) -> None:
    """Closed and open models on the embedded SQLite."""
    _database(run, "sqlite", postgres=False)


def postgres(run: Run) -> None:
    """The same on PostgreSQL."""
    _database(run, "postgres", postgres=True)


def _database(run: Run, part: str, *, postgres: bool) -> None:
    with (
        run.recording(part, workers=WORKERS) as rows,
        serving(postgres=postgres, workers=WORKERS) as found,
    ):
        bodies = found.bodies(scenario.TYPICAL)
        measure.warm(found, bodies, run.seconds / 2)
        for connections in run.some(1, 2, 4, 8, 16):
            rows.append(measure.closed(found, bodies, connections, run.seconds))
        peak = max(row["per_second"] for row in rows)
        for share in LOADS[1:2] if run.quick else LOADS:
            rows.append(measure.opened(found, bodies, share, peak, _OPEN * run.seconds))
        busiest = max(rows, key=lambda row: row["per_second"])
        busiest |= measure.over_alone(found, bodies[0], busiest, run.seconds / 4)


def workers(run: Run) -> None:
    """The peak, and 60 % of it, with one, two and four workers."""
    with run.recording("workers") as rows:
        for number in run.some(1, 2, 4):
            with serving(workers=number) as found:
                bodies = found.bodies(scenario.TYPICAL)
                measure.warm(found, bodies, run.seconds / 2)
                peak = measure.closed(found, bodies, 4 * number, run.seconds)
                calm = measure.opened(found, bodies, 0.6, peak["per_second"], run.seconds)
                rows += [{**row, "workers": number} for row in (peak, calm)]


def tools(run: Run) -> None:
    """Roles with few tools and with many."""
    sizes = run.some(3, 30, 300)
    _dimension(run, "tools", {size: scenario.with_tools(size) for size in sizes})


def arguments(run: Run) -> None:
    """Calls with short arguments and with long ones."""
    sizes = run.some(200, 2_000, 20_000)
    _dimension(run, "arguments", {size: scenario.with_bytes(size) for size in sizes})


def values(run: Run) -> None:
    """Calls with few values in their arguments and with many, of which no rule reads most."""
    sizes = run.some(10, 100, 1_000, 10_000)
    asked = {size: scenario.with_values(size) for size in sizes}
    _dimension(run, "values", asked, max_values=20_000)


def rules(run: Run) -> None:
    """Bundles of few rules and of many."""
    with run.recording("rules", workers=1) as rows, serving(workers=1) as found:
        bodies, key = found.bodies(scenario.TYPICAL), server_key(found.server.data_dir)
        for number in run.some(9, 50, 150):
            _activate(found, packed(key, with_rules(number, f"2.0.{number}")))
            rows.append(_sized(run, found, bodies, number))


def _dimension(run: Run, part: str, asked: dict[int, Scenario], **settings: Any) -> None:
    with (
        run.recording(part, workers=1, **settings) as rows,
        serving(workers=1, **settings) as found,
    ):
        for size, each in asked.items():
            rows.append(_sized(run, found, found.bodies(each), size))


def _sized(run: Run, found: Service, bodies: list[str], size: int) -> Row:
    """What a lone client waits, and what a call costs that is one of two at a time."""
    measure.warm(found, bodies, run.seconds / 4)
    lone, _ = load.closed(found.server, bodies, 1, run.seconds / 2)
    row = measure.closed(found, bodies, 2, run.seconds)
    least = measure.over_alone(found, bodies[0], row, run.seconds / 4)
    alone = {f"lone_{name}": value for name, value in lone._asdict().items()}
    return {**row, "name": f"{size:,}", "size": size, **alone, **least}


def one_call(run: Run) -> None:
    """Where the time of a lone client's request goes, on both databases."""
    pairs = int(400 * run.seconds)
    with run.recording("stages", workers=1, pairs=pairs) as rows:
        for database in ("SQLite", "PostgreSQL"):
            with serving(postgres=database == "PostgreSQL", workers=1) as found:
                alone, measured = stages(found, pairs)
            rows += [{**row, "database": database} for row in shares(alone, measured)]


def uploads(run: Run) -> None:
    """Uploads of the shipped policies with all their tests, each a new version in force."""
    with run.recording("uploads", workers=WORKERS) as rows, serving(workers=WORKERS) as found:
        key = server_key(found.server.data_dir)
        for number in range(1, 2 if run.quick else _UPLOADS + 1):
            data = packed(key, shipped(f"1.0.{number}"))
            began = time.perf_counter()
            _activate(found, data)
            rows.append({"name": f"upload {number}", "s": time.perf_counter() - began})
        rows.append({"name": "median", "s": statistics.median(row["s"] for row in rows)})


def _activate(found: Service, data: bytes) -> None:
    with found.server.client(timeout=60) as http:
        answer = http.post("/mgmt/v1/bundles/upload", content=data)
    assert answer.status_code == 200, answer.json()["detail"]


PARTS: dict[str, Callable[[Run], None]] = {
    "sqlite": sqlite,
    "bare": bare,
    "postgres": postgres,
    "workers": workers,
    "tools": tools,
    "arguments": arguments,
    "values": values,
    "rules": rules,
    "stages": one_call,
    "uploads": uploads,
}
QUICK = ("sqlite", "tools", "values", "rules")
