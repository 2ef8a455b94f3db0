"""The jobs that sign the journal of a node, send checkpoints away, and verify."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from scopebound_engine.housekeeping import Job
from scopebound_engine.log import log_keys
from scopebound_engine.log.checkpointing import Checkpointer, last_line
from scopebound_engine.log.notes import VerifierKey
from scopebound_engine.log.pushing import Pusher
from scopebound_engine.log.rounds import Rounds

_SIGN_SECONDS: Final = 1.0
_PRUNE_SECONDS: Final = 3_600.0
_PUSH_SECONDS: Final = 1.0
_VERIFY_SECONDS: Final = 5.0


def jobs(
    engine: Engine,
    data_dir: Path,
    node: str,
    *,
    url: str | None = None,
    clock: Callable[[], float] = time.time,
) -> tuple[Job, ...]:
    """Jobs for one process of the node, each in a lane of its own: a push may take seconds.

    Raises ConfigError for a key or a URL that will not do.
    """
    folder = data_dir / "log"
    keys = _Keys(engine, node)
    signer = Checkpointer(folder, log_keys.read(data_dir, node), lambda: last_line(folder), clock)
    rounds = Rounds(folder, node, lambda: keys.known, clock)
    found = [
        Job("sign checkpoints", _SIGN_SECONDS, signer.run, "sign"),
        # In the same lane: nothing is appended meanwhile.
        Job("prune checkpoints", _PRUNE_SECONDS, signer.prune, "sign"),
        Job("verify the decision log", _VERIFY_SECONDS, rounds.run, "verify"),
    ]
    if url is not None:
        found.append(Job("push checkpoints", _PUSH_SECONDS, Pusher(folder, url).run, "push"))
    return tuple(found)


class _Keys:
    """The node's keys, former ones too; looked up once, as only a start makes one."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine, self._node = engine, node

    @cached_property
    def known(self) -> Sequence[VerifierKey]:
        """Raises DatabaseUnavailableError, and is looked up again then."""
        return [one.key for one in log_keys.published(self._engine) if one.node == self._node]
