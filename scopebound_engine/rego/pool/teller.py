"""The rules' places, told by a process of the spawner's: what goes wrong there costs no verdict.

To look for them takes as long as to compile, and only records of denials need them. So nobody waits
for them to start, and who needs them in the first moments waits a little.
"""

import hashlib
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from scopebound_engine import baton, budget, strict_json
from scopebound_engine.errors import EngineError, InputError
from scopebound_engine.rego.pool import wire
from scopebound_engine.rego.pool.children import Spawner

# Of each deny code the places, `file:line`, of the rules that can deny with it.
Origins = Mapping[str, tuple[str, ...]]

_CHUNK: Final = 1 << 16
# What is found is the same for the same program.
_REMEMBERED: Final = 16
_found: OrderedDict[bytes, Origins] = OrderedDict()

log = structlog.get_logger()


class Places:
    """What a teller tells of one program, for any thread."""

    def __init__(self, program: bytes) -> None:
        self._digest = hashlib.sha256(program).digest()
        self._origins: Origins = _found.get(self._digest, {})
        self._told, self._until = threading.Event(), 0.0
        self._told.set()

    def sought(self, spawner: Spawner) -> "Teller | None":
        """A process that looks for them, unless they are known; `settle` has to follow.

        Raises EngineError where the spawner cannot start one.
        """
        if self._origins:
            return None
        teller = Teller(spawner)
        self._until = time.monotonic() + wire.ORIGINS_SECONDS
        self._told.clear()
        return teller

    def settle(self, origins: Origins) -> None:
        """These are all that will be known."""
        if origins:
            self._origins = _found[self._digest] = origins
            if len(_found) > _REMEMBERED:
                _found.popitem(last=False)
        self._told.set()

    def known(self, seconds: float) -> Origins:
        """Those that are known, for which it waits so long while they are sought.

        For a teller that does not end it waits no longer than one may take.
        """
        if not self._told.is_set():
            with baton.lent():
                self._told.wait(budget.left(min(seconds, self._until - time.monotonic())))
        return self._origins


class Teller:
    """A process that looks for the places in the compiled program, and ends when it told them.

    Its own alarm ends one that takes too long.
    """

    def __init__(self, spawner: Spawner) -> None:
        """Starts it. Raises EngineError where the spawner cannot."""
        self._spawner, self._data = spawner, bytearray()
        self.pid, self._socket = spawner.forked(wire.TELL)

    def fileno(self) -> int:
        """The descriptor to poll for what it says."""
        return self._socket.fileno()

    def has_ended(self) -> bool:
        """Takes what there is of what it says, which does not block, and tells if that is all."""
        try:
            data = self._socket.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._data += data
        return not data or len(self._data) > wire.MAX_ORIGINS_BYTES

    def told(self) -> Origins:
        """What it has told, and its end; nothing where it failed, which is logged."""
        try:
            if len(self._data) > wire.MAX_ORIGINS_BYTES:
                raise InputError("", f"they are more than {wire.MAX_ORIGINS_BYTES} bytes")
            return _origins(strict_json.loads(bytes(self._data)))
        except InputError as error:
            log.warning("the places of the rules are unknown", reason=str(error))
            return {}
        finally:
            self.close()
            # Where that fails the spawner has ended, which its keeper hears of.
            with suppress(EngineError):
                self._spawner.end(self)

    def close(self) -> None:
        """Hear no more of it; its spawner ends it, or its alarm where that was killed."""
        self._socket.close()


def _origins(told: Any) -> Origins:
    if type(told) is dict and all(_are_places(places) for places in told.values()):
        return {code: tuple(places) for code, places in told.items()}
    raise InputError("", "they are not told as places by code")


def _are_places(told: Any) -> bool:
    return type(told) is list and all(type(place) is str for place in told)
