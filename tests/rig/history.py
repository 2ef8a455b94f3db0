"""What is kept of a run: every answer, every fault, every change of bundles. One JSON list a line.

All times are of `time.monotonic()`, which is CLOCK_MONOTONIC: one clock for every process of the
machine.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

ALLOW, UNDECIDED = "allow", "POLICY_ERROR"
# The node of a fault that strikes all.
EVERYWHERE = -1
# What stands in the place of a code where no answer came.
NOTHING = ""


class Answer(NamedTuple):
    """A call and what came of it.

    `number` is unique in a run, `kind` is the place in `mix.CALLS`, `node` the server's number.
    `status` 0: no answer came, because the connection broke or the caller's patience ended. `said`
    is "allow", or the code of the denial. `remaining` is the smallest of the RateLimit header, -1
    without one. `reason` is there where the engine could not decide.
    """

    number: int
    kind: int
    session: str
    node: int
    begun: float
    ended: float
    status: int
    said: str = NOTHING
    id: str = ""
    generation: int = 0
    checksum: str = ""
    remaining: int = -1
    is_replay: bool = False
    latency_ms: float = 0.0
    reason: str = ""


class Fault(NamedTuple):
    """Something done to a node, or EVERYWHERE.

    Without service a node is counted from `counted_from` on: the beginning, unless the fault itself
    takes the service away for as long as it lasts. `stopped`: processes stood still in it.
    """

    name: str
    node: int
    begun: float
    ended: float
    counted_from: float
    stopped: bool = False
    note: str = ""


class Change(NamedTuple):
    """A bundle put in force at some moment between two. `flavor` says which rules it has.

    `ended` is when that was known for certain, infinity if it never was.
    """

    generation: int
    flavor: str
    checksum: str
    begun: float
    ended: float


def append(file: Path, rows: Iterable[NamedTuple]) -> None:
    """Add rows to a file."""
    with file.open("ab") as out:
        out.writelines(orjson.dumps(tuple(row)) + b"\n" for row in rows)


def answers(files: Iterable[Path]) -> Iterator[Answer]:
    """All answers, file after file."""
    for file in files:
        with file.open("rb") as lines:
            for line in lines:
                yield Answer._make(orjson.loads(line))
