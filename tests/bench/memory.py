"""`make bench-memory`: whether a server's memory stays flat while it decides and bundles change.

A million calls and 200 activations, on a server of two workers. Rounds of calls alone take turns
with rounds of calls and activations, so that what grows by the one is told from what grows by the
other. Samples are taken between activations, whose gates hold memory for a moment.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import tables
from tests.bench.footprint import Footprint, footprints
from tests.bench.leaks import MOST_GROWTH, WARM_UP, Growth, Sample, growth
from tests.bench.results import Row, recording
from tests.bench.traffic import Traffic, fill, make_role
from tests.bundles import make_bundle, roll_back, server_key, upload
from tests.servers import RunningServer, serving

REQUESTS = int(os.environ.get("SCOPEBOUND_TEST_BENCH_REQUESTS", "1000000"))
ACTIVATIONS = int(os.environ.get("SCOPEBOUND_TEST_BENCH_ACTIVATIONS", str(REQUESTS // 5000)))
# An evaluator that a busy machine makes late is replaced, and with it what it had kept.
SETTINGS: dict[str, Any] = {"workers": 2, "evaluation_deadline_ms": 900}
ROUNDS = 10
_SAMPLES = 10  # of a round
ALL = "all together"
_TITLE = "Memory over many calls and activations"
_NOTE = (
    "Sessions come and go, no call is like another, some are denied; the first and the last MB are "
    "of PSS, so that shared pages count once. The slopes are of anonymous memory, which is what "
    "leaks, and is not told otherwise by other programs that use the same libraries; after Theil "
    "and Sen, from the second quarter on. Memory counts as flat where the second half adds less "
    f"than {MOST_GROWTH:.0%} to all processes together."
)


@dataclass(frozen=True)
class Moment:
    """What the server held after so many calls and activations, by kind of process."""

    requests: int
    activations: int
    held: dict[str, Footprint]

    def of(self, kind: str) -> Footprint:
        """What processes of a kind held; of ALL, what all did."""
        return sum(
            (held for name, held in self.held.items() if kind in (ALL, name)), Footprint(0, 0, 0, 0)
        )


class Changes:
    """Bundles put in force one after another: two uploads, two rollbacks, and so on."""

    def __init__(self, server: RunningServer) -> None:
        self.made = 0
        self._server, self._key = server, server_key(server.data_dir)
        self._ids: dict[bool, str] = {}

    def until(self, wanted: int) -> None:
        """Make them until there are so many."""
        with self._server.client(timeout=60) as http:
            while self.made < wanted:
                denies = self.made % 2 == 0
                if self.made % 4 < 2:
                    data = make_bundle(self._key, f"1.0.{self.made + 1}", denies=denies)
                    self._ids[denies] = upload(http, data, denies=denies).id
                else:
                    roll_back(http, self._ids[denies], denies=denies)
                self.made += 1


def main() -> None:
    """Run it, print what grew, and write it down."""
    settings = {"requests": REQUESTS, "activations": ACTIVATIONS, **SETTINGS}
    with recording("memory", settings, title=_TITLE, note=_NOTE) as rows:
        moments = measured(REQUESTS, ACTIVATIONS, filled=True)
        rows.extend(table(moments))
    print(f"{moments[-1].requests:,} calls, {moments[-1].activations} activations")
    print(f"{tables.plain('memory', rows)}\nmemory is flat: {rows[-1]['flat']}")


def measured(requests: int, activations: int, *, filled: bool = False) -> list[Moment]:
    """What a server holds, while so many calls are answered and so many bundles activated.

    `filled`: from when its workers remember as many tokens as they ever do.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "data", **SETTINGS) as server,
    ):
        make_role(server)
        if filled:
            print(f"{fill(server):,} sessions are remembered or forgotten again", flush=True)
        with Traffic(server) as traffic:
            moments = list(_moments(server, traffic, requests, activations))
    print(f"answers: {dict(traffic.outcomes)}")
    return moments


def _moments(
    server: RunningServer, traffic: Traffic, requests: int, activations: int
) -> Iterator[Moment]:
    changes, began, done = Changes(server), time.monotonic(), 0
    for number in range(ROUNDS):
        for place in range(1, _SAMPLES + 1):
            if number % 2:
                rounds = number // 2 + place / _SAMPLES
                changes.until(round(activations * rounds / (ROUNDS // 2)))
            done += requests // (ROUNDS * _SAMPLES)
            traffic.wait_for(done)
            held = footprints(server.process.pid)
            yield Moment(traffic.requests, changes.made, held)
        taken = time.monotonic() - began
        print(
            f"  {traffic.requests:,} calls, {changes.made} activations, {taken:.0f} s", flush=True
        )
        done = max(done, traffic.requests - requests // (ROUNDS * _SAMPLES))


def table(moments: Sequence[Moment]) -> list[Row]:
    """How much each kind of process held after warming up and at the end, and how that grew."""
    last = moments[-1]
    warm = [moment for moment in moments if moment.requests >= WARM_UP * last.requests]
    first = warm[0]
    kinds = sorted(set.intersection(*(set(moment.held) for moment in warm)))
    return [
        {
            **_row(kind, first, last, growing(moments, kind)),
            "samples": [[moment.requests, moment.of(kind).pss / 1e6] for moment in moments],
        }
        for kind in (*kinds, ALL)
    ]


def growing(moments: Sequence[Moment], kind: str) -> Growth:
    """How what processes of a kind hold grows."""
    return growth(
        [
            Sample(moment.requests, moment.activations, moment.of(kind).anonymous)
            for moment in moments
        ]
    )


def _row(kind: str, first: Moment, last: Moment, growth: Growth) -> Row:
    before, after = first.of(kind), last.of(kind)
    return {
        "name": kind,
        "processes": after.processes,
        "first_mb": before.pss / 1e6,
        "last_mb": after.pss / 1e6,
        "last_rss_mb": after.rss / 1e6,
        "per_1000_calls_bytes": growth.per_thousand_requests,
        "per_activation_bytes": growth.per_activation,
        "second_half_percent": 100 * growth.share,
        "flat": "yes" if growth.flat else "no",
    }


if __name__ == "__main__":
    main()
