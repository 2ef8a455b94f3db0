"""Asks a compiled policy one thing after another, in processes forked from the one that compiled.

An evaluation may crash or hang its process. That concerns nothing but itself: another process goes
on. For the child of the sandbox only, which has one thread, and limits that each fork inherits. A
worker ends when its connection does; what may hang has to set a timer.
"""

import json
import os
import selectors
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

Answer = dict[str, Any]

_MESSAGE_BYTES: Final = 1 << 16
_OPEN_FILES: Final = 1 << 12


def run_forked(
    groups: Sequence[Sequence[int]],
    run: Callable[[int], Answer],
    lost: Callable[[int], Answer],
    processes: int,
) -> Iterator[tuple[int, Answer]]:
    """Each number in `groups` with what `run` answers to it, in any order.

    The numbers of a group go to one process as long as there are other groups. `lost` makes the
    answer for a number whose process ended: by its exit code, or a signal's number as a negative.
    """
    with selectors.DefaultSelector() as selector:
        queue = _Queue(groups)

        def employ(worker: _Worker | None) -> None:
            number = queue.take(worker.number if worker else None)
            if number is not None:
                worker = worker or _Worker(run)
                worker.begin(number)
                selector.register(worker.connection, selectors.EVENT_READ, worker)

        for _ in range(processes):
            employ(None)
        while selector.get_map():
            for key, _ in selector.select():
                worker: _Worker = key.data
                selector.unregister(worker.connection)
                answer = worker.answer()
                if answer is not None:
                    yield worker.number, answer
                    employ(worker)
                    continue
                status = worker.end()
                if worker.answers:
                    # What it did before may have led to this: the number gets a process of its own.
                    queue.put_back(worker.number)
                else:
                    yield worker.number, lost(status)
                employ(None)


class _Queue:
    """The numbers that wait, by group."""

    def __init__(self, groups: Sequence[Sequence[int]]) -> None:
        self._waiting = [list(group) for group in groups]
        self._group = {number: at for at, group in enumerate(groups) for number in group}
        self._begun: set[int] = set()

    def put_back(self, number: int) -> None:
        self._waiting[self._group[number]].insert(0, number)

    def take(self, last: int | None) -> int | None:
        """A number for the worker that had `last`: of its group, of a new one, or of any."""
        every = range(len(self._waiting))
        own = [] if last is None else [self._group[last]]
        for at in (*own, *(at for at in every if at not in self._begun), *every):
            if self._waiting[at]:
                self._begun.add(at)
                number: int = self._waiting[at].pop(0)
                return number
        return None


class _Worker:
    """A forked process, the number that it works on, and how many answers it gave."""

    def __init__(self, run: Callable[[int], Answer]) -> None:
        self.number = -1
        self.answers = 0
        # Packets, so that one message is never taken for two or for a half.
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            _serve(theirs, run)
        theirs.close()

    def begin(self, number: int) -> None:
        self.number = number
        # That it has ended is noticed when it does not answer.
        with suppress(ConnectionError):
            self.connection.send(b"%d" % number)

    def answer(self) -> Answer | None:
        """The answer that has come; None where the process has ended instead."""
        try:
            message = self.connection.recv(_MESSAGE_BYTES)
        except ConnectionError:
            return None
        if not message:
            return None
        self.answers += 1
        answer: Answer = json.loads(message)
        return answer

    def end(self) -> int:
        self.connection.close()
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _serve(connection: socket.socket, run: Callable[[int], Answer]) -> NoReturn:
    """The life of a worker. It leaves without a word of the process that it was forked from."""
    status = 1
    try:
        own = connection.fileno()
        os.closerange(3, own)
        os.closerange(own + 1, _OPEN_FILES)
        while message := connection.recv(_MESSAGE_BYTES):
            connection.send(json.dumps(run(int(message))).encode("ascii"))
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        raise
    finally:
        os._exit(status)
