"""One run: a cluster, its load, its faults, and the verdict."""

import itertools
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from scopebound_engine.database.engine import open_database, reading
from scopebound_engine.database.log_tables import decisions
from scopebound_engine.errors import DatabaseUnavailableError
from tests.rig import mix
from tests.rig.changes import Changer
from tests.rig.checker import Kind, judged
from tests.rig.faults import OF_NODES, World
from tests.rig.history import EVERYWHERE, Fault, answers
from tests.rig.nodes import Cluster, Supervised, cluster
from tests.rig.oracle import FLAVORS, expected
from tests.rig.outages import OF_POSTGRES, OF_SQLITE
from tests.rig.records import Records, journal
from tests.rig.report import Outcome

SQLITE, POSTGRES = "sqlite", "postgresql"
MODES = (SQLITE, POSTGRES)
CALM, QUIET_SECONDS, SHIPPED_SECONDS = (2.5, 4.0), 2.0, 300.0
LOADERS, LINES = 2, 8
_NUMBERS = 10**10
# What the row of an answer has that is a decision, and no other row.
_DECIDED = b',200,"'


@dataclass(frozen=True)
class Settings:
    """What is asked of a run: seconds of load, or longer until there are so many decisions.

    `rate` is of calls a second at most, `held` how long lasting faults last, `stopped` how long a
    worker stands still.
    """

    seconds: float
    decisions: int
    rate: float
    seed: int
    held: float = 1.0
    stopped: float = 3.0


def run(folder: Path, mode: str, settings: Settings) -> Outcome:
    """What came of one mode."""
    rng = random.Random(f"{settings.seed} {mode}")
    with cluster(folder, on_postgres=mode == POSTGRES) as made, dead_receiver() as hook:
        one, plan = made.nodes[0], folder / "plan.json"
        with one.server.client() as http:

            def post(path: str, body: Any) -> Any:
                return http.post(path, json=body).raise_for_status().json()

            plan.write_text(mix.plan(mix.tokens(post, hook)))
        changer = Changer(made, one.data_dir, random.Random(rng.random()))
        world = World(made, changer, rng, settings.held, settings.stopped)
        begun = time.monotonic()
        with changer, loading(folder, plan, made, settings) as files:
            inflicted = list(_through(world, settings, files, begun))
            over = time.monotonic()
        missing = sum(_missing(node) for node in made.nodes)
    records = Records()
    for node in made.nodes:
        for record in journal(node.data_dir / "log"):
            records.add(record)
    verdict = judged(lambda: answers(files), kinds(), changer.changes, inflicted, records, over)
    return Outcome(
        mode,
        over - begun,
        verdict,
        records.count,
        len(changer.changes) - 1,
        changer.lost,
        world.hostile,
        missing,
    )


def kinds() -> list[Kind]:
    """What the judge has to know of each kind of call."""
    wanted = expected()
    return [
        Kind({flavor: wanted[flavor][number] for flavor in FLAVORS}, mix.limit_of(call.role),
             judged=not call.says)
        for number, call in enumerate(mix.CALLS)
    ]  # fmt: skip


@contextmanager
def dead_receiver() -> Iterator[str]:
    """A URL whose receiver is connected to and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/dead"


@contextmanager
def loading(folder: Path, plan: Path, made: Cluster, settings: Settings) -> Iterator[list[Path]]:
    """Loaders, while the block lasts; yields the files of their histories."""
    files = [folder / f"history-{number}.jsonl" for number in range(LOADERS)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.rig.load", plan, file, str(settings.seed + number),
             str(number * _NUMBERS), str(settings.rate / LOADERS), str(LINES), *made.urls],
            stdin=subprocess.PIPE,
        )
        for number, file in enumerate(files)
    ]  # fmt: skip
    try:
        yield files
    finally:
        for process in processes:
            process.communicate(timeout=60)
    if any(process.returncode for process in processes):
        raise RuntimeError("a loader ended by itself; what it said stands above")


def _through(world: World, settings: Settings, files: list[Path], begun: float) -> Iterator[Fault]:
    """One fault after the other, with calm between, all of them before one comes again."""
    own = OF_POSTGRES if world.cluster.postgres else OF_SQLITE
    deck, decided = [*OF_NODES, *own], Decided(files)
    for turn in itertools.count():
        if turn % len(deck) == 0:
            world.rng.shuffle(deck)
        time.sleep(world.rng.uniform(*CALM))
        if time.monotonic() - begun > settings.seconds and decided.count() >= settings.decisions:
            return
        fault = deck[turn % len(deck)](world)
        where = "" if fault.node == EVERYWHERE else f" on node {fault.node}"
        lasted = f"for {fault.ended - fault.begun:.2f} s"
        print(f"  {fault.begun - begun:7.1f} s  {fault.name}{where}, {lasted}", flush=True)
        yield fault


class Decided:
    """Counts the decisions in the files of a history, as they grow."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._read, self._count = dict.fromkeys(files, 0), 0

    def count(self) -> int:
        """How many there are by now; those that loaders hold back come later."""
        for file, offset in self._read.items():
            with file.open("rb") as rows:
                rows.seek(offset)
                new = rows.read().rpartition(b"\n")[0]
            self._read[file] += len(new)
            self._count += new.count(_DECIDED)
        return self._count


def _missing(node: Supervised) -> int:
    """How many records of a journal are not in the database, when all had time to get there."""
    time.sleep(QUIET_SECONDS)
    number = sum(1 for _ in journal(node.data_dir / "log"))
    url = node.settings.get("database_url")
    engine = open_database(url, node.data_dir)
    deadline, there = time.monotonic() + SHIPPED_SECONDS, 0
    name = (node.data_dir / "node-id").read_text().strip()
    asked = select(func.count()).where(decisions.c.node == name, decisions.c.seq <= number)
    try:
        while there < number and time.monotonic() < deadline:
            try:
                with reading(engine) as connection:
                    there = connection.scalar(asked) or 0
            except DatabaseUnavailableError:
                pass
            time.sleep(0.5)
    finally:
        engine.dispose()
    return number - there
