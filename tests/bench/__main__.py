"""`make bench`: the parts of the benchmark, one after the other. Prints and records, asserts
nothing.
"""

import argparse
import os
import time

from tests.bench import tables, wrk
from tests.bench.aims import aims
from tests.bench.calibration import unit_us
from tests.bench.parts import PARTS, QUICK, Run
from tests.bench.results import RESULTS

SECONDS = float(os.environ.get("SCOPEBOUND_TEST_BENCH_SECONDS", "8"))
_QUICK_SECONDS = 2.0


def main() -> None:
    """Measure the parts that are asked for."""
    asked = _parser().parse_args()
    chosen = asked.only.split(",") if asked.only else list(QUICK if asked.quick else PARTS)
    if unknown := set(chosen) - PARTS.keys():
        raise SystemExit(
            f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        )
    wrk.require()
    began = time.monotonic()
    print(
        f"One machine of {os.cpu_count()} processors runs service, database and load; load "
        f"average {os.getloadavg()[0]:.1f} before. The unit of work takes {unit_us():.0f} µs of a "
        "processor."
    )
    seconds = min(SECONDS, _QUICK_SECONDS) if asked.quick else SECONDS
    run = Run(seconds, asked.quick, None if asked.quick else RESULTS)
    for part in chosen:
        PARTS[part](run)
    reached = [aim._asdict() for aim in aims(run.found)]
    print(f"\n{tables.plain('aims', reached)}\n\n{time.monotonic() - began:.0f} s")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, and none is recorded")
    parser.add_argument("--only", metavar="PART,…", help=f"of {', '.join(PARTS)}")
    return parser


if __name__ == "__main__":
    main()
