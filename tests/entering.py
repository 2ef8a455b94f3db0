"""Processes that enter the same sessions at the same time, straight into session state."""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from scopebound_engine.errors import StateUnavailableError
from scopebound_engine.session.state.seam import Entry, SessionState

_FORK = get_context("fork")
# As many neighbouring entries are in another order in each process.
_SHUFFLED = 64


class Entered(NamedTuple):
    """An entry, by times of `time.monotonic()`. `granted` None: state was out of reach in it."""

    session_id: str
    begun: float
    ended: float
    granted: bool | None


def enter_together(
    open_state: Callable[[], SessionState], entries: Sequence[Entry], processes: int
) -> list[Entered]:
    """Let each process make all these entries.

    `open_state` is called by each of them and has to be something that can be pickled.
    """
    with ProcessPoolExecutor(processes, _FORK) as pool:
        work = [pool.submit(_enter, open_state, entries, seed) for seed in range(processes)]
        return [entered for done in work for entered in done.result()]


def _enter(
    open_state: Callable[[], SessionState], entries: Sequence[Entry], seed: int
) -> list[Entered]:
    state, mixed = open_state(), random.Random(seed)
    done = []
    for start in range(0, len(entries), _SHUFFLED):
        for entry in mixed.sample(few := entries[start : start + _SHUFFLED], len(few)):
            begun = time.monotonic()
            granted = _granted(state, entry)
            done.append(Entered(entry.session_id, begun, time.monotonic(), granted))
    state.close()
    return done


def _granted(state: SessionState, entry: Entry) -> bool | None:
    try:
        return state.enter(entry).granted
    except StateUnavailableError:
        return None
