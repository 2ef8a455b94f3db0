"""The fault rig: `make faults`, and over a million decisions `make faults-full`.

On one node with SQLite, then on two nodes with PostgreSQL: a load whose right answers are known,
faults at random moments, activations and rollbacks through it all, and then the judge. Ends with 1
where something happened that must not.
"""

import argparse
import os
import secrets
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.bench.results import recording
from tests.rig import report
from tests.rig.report import Outcome
from tests.rig.run import MODES, Settings, run


def main() -> None:
    """Run what is asked for, and print the figures."""
    asked = _parser().parse_args()
    settings = Settings(
        seconds=asked.seconds / len(asked.modes),
        decisions=asked.decisions // len(asked.modes),
        rate=asked.rate,
        seed=asked.seed,
        stopped=asked.stopped,
    )
    print(f"seed {asked.seed}: {', '.join(asked.modes)}", flush=True)
    words = {"title": report.TITLE, "note": report.NOTE}
    with recording(report.PART, asdict(settings), asked.out, **words) as rows:
        outcomes = [_run(mode, settings, asked.keep) for mode in asked.modes]
        rows.extend(report.rows(outcomes))
    print("\n".join(report.lines(outcomes, asked.seed)))
    sys.exit(any(outcome.wrong() or outcome.slow() for outcome in outcomes))


def _run(mode: str, settings: Settings, keep: Path | None) -> Outcome:
    if keep is not None:
        (keep / mode).mkdir(parents=True)
        return run(keep / mode, mode, settings)
    with tempfile.TemporaryDirectory(prefix="scopebound-rig-") as folder:
        return run(Path(folder), mode, settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.rig", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load, all modes together")
    parser.add_argument("--decisions", type=int, default=0, help="go on until there are so many")
    parser.add_argument("--rate", type=float, default=200.0, help="calls a second at most")
    parser.add_argument("--stopped", type=float, default=3.0, help="seconds a worker stands still")
    seed = int(os.environ.get("SCOPEBOUND_TEST_SEED") or secrets.randbelow(1 << 32))
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--keep", type=Path, help="leave histories and logs in this new folder")
    parser.add_argument("--out", type=Path, help="record the figures in this folder")
    return parser


if __name__ == "__main__":
    main()
