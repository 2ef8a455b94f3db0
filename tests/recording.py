"""The decision log, for tests of what writes it: one that writes, and what stands there."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scopebound_engine.log import chain, segments
from scopebound_engine.log.journal import Journal
from scopebound_engine.log.recorder import Recorder, noting
from scopebound_engine.masking import Masks, pointers

NODE = "00000000-0000-4000-8000-00000000000a"
MASK_KEY = bytes(range(32))

Record = dict[str, Any]


def make_recorder(folder: Path, mask: str = "", clock: Callable[[], float] = time.time) -> Recorder:
    """One that writes to the folder `log` below a data folder."""
    masks = Masks(MASK_KEY, pointers(mask))
    journal = Journal(folder / "log", NODE, note=noting(NODE, clock))
    return Recorder(journal, masks, node=NODE, clock=clock, skew_ms=lambda: None)


def lines_of(data_dir: Path) -> list[bytes]:
    """All lines of the journal of a data folder, in their order."""
    return [line for line, _ in segments.lines(data_dir / "log", segments.START)]


def records_of(data_dir: Path) -> list[Record]:
    """All records of the journal of a data folder, which is one sound chain."""
    prev, records = chain.GENESIS, list[Record]()
    for seq, line in enumerate(lines_of(data_dir), 1):
        link = chain.split(line)
        assert (link.seq, link.prev) == (seq, prev)
        records.append(json.loads(link.record))
        prev = chain.digest(line)
    return records
