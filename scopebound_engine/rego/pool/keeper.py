"""Keeps a roster at full strength: one thread that owns the spawner and replaces what is lost.

It hears of a loss from the thread that suffered it, and of the death of an idle evaluator or of the
spawner from the kernel. While a new spawner compiles, the old one's evaluators go on working.
"""

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from scopebound_engine.errors import EngineError
from scopebound_engine.rego.pool.children import Evaluator, Spawner
from scopebound_engine.rego.pool.roster import Roster
from scopebound_engine.rego.pool.teller import Places, Teller

# A first failure is mended at once, the next within the calm period later and later.
_CALM_SECONDS: Final = 30.0
_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 5.0
_JOIN_SECONDS: Final = 1.0

log = structlog.get_logger()


class Keeper:
    """`size` evaluators of one program, replaced as they are lost, until `close`.

    `warm_up` asks a new evaluator for the first time and raises EngineError if it is no good;
    `on_replaced` is told of each that took the place of one that was lost.
    """

    def __init__(
        self,
        program: bytes,
        size: int,
        warm_up: Callable[[Evaluator], None],
        on_replaced: Callable[[], None],
    ) -> None:
        self._program, self._size, self._warm_up = program, size, warm_up
        self._on_replaced = on_replaced
        self._seconds = 0.0
        self.roster = Roster(on_loss=self._wake)
        self.places = Places(program)
        self._thread = threading.Thread(target=self._run, name="evaluator-keeper", daemon=True)
        self._watched: dict[int, Evaluator | Spawner | Teller] = {}
        self._poll = select.poll()
        self._bell, self._ring = socket.socketpair()
        self._ring.setblocking(False)
        self._poll.register(self._bell, select.POLLIN)
        self._failures, self._failed_at, self._retry_at = 0, -_CALM_SECONDS, 0.0

    def start(self, seconds: float) -> None:
        """Compiles within so many seconds, forks and warms up; the rules' places come later.

        Raises CompileError or EngineError; then no process is left.
        """
        self._seconds = seconds
        self._spawner = Spawner()
        try:
            self._load()
            self._fill()
            if teller := self.places.sought(self._spawner):
                self._watch(teller, select.POLLIN)
        except BaseException:
            self._end()
            raise
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Lets evaluations finish for so many seconds, then ends every process."""
        self.roster.close(seconds)
        if self._thread.ident is None:
            return
        self._wake()
        self._thread.join(_JOIN_SECONDS)
        while self._thread.is_alive():
            # It waits for a compilation.
            self._spawner.kill()
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            while not self._listen():
                for evaluator in self.roster.collect():
                    self._end_evaluator(evaluator)
                if time.monotonic() >= self._retry_at:
                    self._mend()
        finally:
            self._end()

    def _listen(self) -> bool:
        """Waits for something to happen and tells whether it was the end.

        A byte wakes it, or a process that hangs up because it died, or the time for a retry.
        """
        wait = self._retry_at - time.monotonic()
        for descriptor, _ in self._poll.poll(wait * 1000 + 1 if wait > 0 else None):
            child = self._watched.get(descriptor)
            if child is None:
                self._bell.recv(4096)
                continue
            if isinstance(child, Teller):
                self._hear(child)
                continue
            self._unwatch(child)
            if isinstance(child, Evaluator):
                self.roster.retire(child)
            else:
                self._note(EngineError(f"the spawner of the evaluators {child.ending()}"))
        return self.roster.closed

    def _hear(self, teller: Teller) -> None:
        if teller.has_ended():
            self._unwatch(teller)
            self.places.settle(teller.told())

    def _mend(self) -> None:
        try:
            if not self._spawner.is_alive():
                self._unwatch(self._spawner)
                self._spawner.close()
                self._spawner = Spawner()
                self._load()
            self._fill()
        except EngineError as error:
            self._note(error)
        else:
            self.roster.trouble = ""

    def _note(self, error: Exception) -> None:
        """Remembers a failure and puts off the next attempt."""
        now = time.monotonic()
        self._failures = self._failures + 1 if now - self._failed_at < _CALM_SECONDS else 0
        self._failed_at = now
        delay = min(_FIRST_DELAY * 2**self._failures, _LONGEST_DELAY) if self._failures else 0.0
        self._retry_at = now + delay
        self.roster.trouble = str(error)
        log.error("evaluators failed", reason=str(error), retry_seconds=delay)

    def _load(self) -> None:
        self._spawner.load(self._program, self._seconds)
        self._watch(self._spawner)

    def _fill(self) -> None:
        while len(self.roster.ready(self._spawner)) < self._size and not self.roster.closed:
            self._add()
            if self._thread.ident is not None:
                self._on_replaced()
        for evaluator in self.roster.ready():
            if evaluator.spawner is not self._spawner:
                self.roster.retire(evaluator)

    def _add(self) -> None:
        evaluator = self._spawner.fork()
        try:
            self._warm_up(evaluator)
        except BaseException:
            self._end_evaluator(evaluator)
            raise
        self._watch(evaluator)
        self.roster.admit(evaluator)

    def _end_evaluator(self, evaluator: Evaluator) -> None:
        self._unwatch(evaluator)
        if evaluator.spawner is self._spawner and self._spawner.is_alive():
            with suppress(EngineError):
                how = self._spawner.end(evaluator)
                log.warning("evaluator ended", pid=evaluator.pid, how=how)
        else:
            evaluator.kill()
        evaluator.close()

    def _watch(self, child: Evaluator | Spawner | Teller, events: int = 0) -> None:
        self._watched[child.fileno()] = child
        # Hang-up and error are always told.
        self._poll.register(child.fileno(), events)

    def _unwatch(self, child: Evaluator | Spawner | Teller) -> None:
        descriptor = child.fileno()
        if self._watched.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def _wake(self) -> None:
        # Enough bytes to block wake as well. The pair is not closed, only let go with this object:
        # a thread that is late to give back would else write to whoever got the descriptor next.
        with suppress(BlockingIOError):
            self._ring.send(b"!")

    def _end(self) -> None:
        """What is still busy then sees its evaluator end."""
        self.roster.close(0)
        self._spawner.close()
        for child in self._watched.values():
            if isinstance(child, Teller):
                child.close()
        self.places.settle({})
        for evaluator in self.roster.collect():
            evaluator.kill()
            evaluator.close()
