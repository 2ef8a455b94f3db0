"""The rules' places, told by a process of the spawner's: what goes wrong there costs no verdict."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from scopebound_engine import strict_json
from scopebound_engine.errors import EngineError, InputError
from scopebound_engine.rego.pool import wire
from scopebound_engine.rego.pool.children import Spawner

# Of each deny code the places, `file:line`, of the rules that can deny with it.
Origins = Mapping[str, tuple[str, ...]]

_CHUNK: Final = 1 << 16
# To look takes as long as to compile, and what is found is the same for the same program.
_REMEMBERED: Final = 16
_found: OrderedDict[bytes, Origins] = OrderedDict()

log = structlog.get_logger()


def places_of(spawner: Spawner, program: bytes) -> Callable[[], Origins]:
    """How to learn the places in the program that the spawner compiled; a process looks meanwhile.

    Raises EngineError where the spawner cannot start one.
    """
    digest = hashlib.sha256(program).digest()
    if (known := _found.get(digest)) is not None:
        return lambda: known
    teller = Teller(spawner)

    def learn() -> Origins:
        if origins := teller.told():
            _found[digest] = origins
            if len(_found) > _REMEMBERED:
                _found.popitem(last=False)
        return origins

    return learn


class Teller:
    """A process that looks for the places in the compiled program, and ends when it told them."""

    def __init__(self, spawner: Spawner) -> None:
        """Starts it. Raises EngineError where the spawner cannot."""
        self._spawner, self._until = spawner, time.monotonic() + wire.ORIGINS_SECONDS
        self.pid, self._socket = spawner.forked(wire.TELL)

    def told(self) -> Origins:
        """What it tells, within some seconds; nothing where it fails, which is logged."""
        try:
            return _origins(strict_json.loads(b"".join(self._received())))
        except (InputError, OSError) as error:
            log.warning("the places of the rules are unknown", reason=str(error))
            return {}
        finally:
            self._socket.close()
            # Where that fails the spawner has ended, which its keeper hears of.
            with suppress(EngineError):
                self._spawner.end(self)

    def _received(self) -> Iterator[bytes]:
        size = 0
        while size <= wire.MAX_ORIGINS_BYTES:
            self._socket.settimeout(max(self._until - time.monotonic(), 0.001))
            data = self._socket.recv(_CHUNK)
            if not data:
                return
            size += len(data)
            yield data
        raise InputError("", f"they are more than {wire.MAX_ORIGINS_BYTES} bytes")


def _origins(told: Any) -> Origins:
    if type(told) is dict and all(_are_places(places) for places in told.values()):
        return {code: tuple(places) for code, places in told.items()}
    raise InputError("", "they are not told as places by code")


def _are_places(told: Any) -> bool:
    return type(told) is list and all(type(place) is str for place in told)
