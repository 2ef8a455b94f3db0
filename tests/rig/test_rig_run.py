"""A short run of the rig: whatever is done to a node, nothing is answered or recorded wrongly.

How long things took is printed and not judged here, where other tests share the processors;
`make faults` does. SCOPEBOUND_TEST_SEED repeats one.
"""

import os
import secrets
from pathlib import Path

import pytest

from tests.rig import report
from tests.rig.run import MODES, Settings, run

SEED = int(os.environ.get("SCOPEBOUND_TEST_SEED") or secrets.randbelow(1 << 32))
SECONDS = 10.0


@pytest.mark.parametrize("mode", MODES)
def test_no_fault_makes_a_wrong_allow_or_loses_a_record(mode: str, tmp_path: Path) -> None:
    settings = Settings(seconds=SECONDS, decisions=0, rate=100.0, seed=SEED, stopped=2.0)
    outcome = run(tmp_path, mode, settings)
    print("\n".join(report.lines([outcome], SEED)))
    assert outcome.wrong() == []
    assert outcome.changes > 0
