"""Measures all peers in turns, prints and writes what they took."""

import os
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from tests.bench import tables
from tests.bench.calibration import unit_us
from tests.bench.peers.inside import facts
from tests.bench.peers.measuring import Figures, middle
from tests.bench.peers.question import CODE, DENIED
from tests.bench.peers.roster import PEERS, PYTHON, Peer
from tests.bench.results import Row, recording

# Of a round; each question of each peer gets so many in turns, so that what else the machine does
# weighs on all alike.
SECONDS = float(os.environ.get("SCOPEBOUND_TEST_BENCH_SECONDS", "5")) / 5
ROUNDS = 5
_TITLE = "Beside others, on the same decision"
_NOTE = (
    "One client that waits for each answer. The processor's time is of all processes that take "
    "part but the client; in units it is counted in the calibration's work, and set beside that "
    "of plain Python. Those that are not Scopebound leave out more than the table says: what the "
    "token, the session, its limits and its drift say is given to them, and nothing is recorded."
)
Case = tuple[Peer, str]


def main() -> None:
    """Measure, print and write."""
    settings = {"round_seconds": SECONDS, "rounds": ROUNDS}
    with recording("peers", settings, title=_TITLE, note=_NOTE) as rows:
        rows.extend(compared(PEERS, facts(), SECONDS, ROUNDS))
    print(tables.plain("peers", rows))
    for peer in PEERS:
        if not peer.installed:
            print(f"{peer.name} is not installed; pip install '.[bench]' installs it")


def compared(
    peers: Sequence[Peer], inputs: Mapping[str, Any], seconds: float, rounds: int
) -> list[Row]:
    """A row for each question of each peer that is installed; plain Python must be among them.

    Raises AssertionError where one decides otherwise than it must.
    """
    taken: dict[Case, list[Figures]] = defaultdict(list)
    units: list[float] = []
    with ExitStack() as stack:
        installed = [peer for peer in peers if peer.installed]
        begun = {peer: stack.enter_context(peer.started(inputs)) for peer in installed}
        for _ in range(rounds):
            for peer, measure in begun.items():
                units.append(unit_us())
                for question in peer.questions:
                    taken[peer, question].append(measure(question, seconds))
    figures = {case: middle(found) for case, found in taken.items()}
    for case, found in figures.items():
        assert found.answer == expected(*case), f"{case} was answered {found.answer}"
    return [_row(case, figures, statistics.median(units)) for case in figures]


def expected(peer: Peer, question: str) -> str | None:
    """What a peer has to answer."""
    return None if question == "allow" else CODE if peer.named else DENIED


def _row(case: Case, figures: Mapping[Case, Figures], unit: float) -> Row:
    (peer, question), found = case, figures[case]
    python = next(
        each for (one, asked), each in figures.items() if (one.name, asked) == (PYTHON, question)
    )
    return {
        "name": peer.name,
        "call": question,
        "cpu_us": found.cpu_us,
        "p50_us": found.p50_us,
        "p99_us": found.p99_us,
        "cpu_units": found.cpu_us / unit,
        "times_python": found.cpu_us / python.cpu_us,
        "leaves_out": peer.lacks,
    }


if __name__ == "__main__":
    main()
