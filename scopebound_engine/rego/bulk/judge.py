"""Deals out questions to processes that have compiled a program, and reads their verdicts.

    with BulkJudge(program, codes, evaluation_seconds=0.25, seconds=600) as judge:
        for name, verdict in judge.verdicts((name, facts) for name, facts in documents):
            ...

Questions go out in chunks, and verdicts come back in the order of the questions. A chunk whose
process died is asked again question by question, so that it costs nobody else a verdict.
"""

import io
import marshal
import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import islice
from typing import Any, Final, Self, TypeVar

from scopebound_engine.errors import (
    EngineError,
    EvaluationError,
    EvaluatorCrashedError,
    EvaluatorTimeoutError,
)
from scopebound_engine.rego.bulk import wire
from scopebound_engine.rego.pool.replies import read_verdict
from scopebound_engine.rego.pool.teller import Origins
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.sandbox import started
from scopebound_engine.verdict import Verdict

Facts = Mapping[str, Any]
Answer = Verdict | EvaluationError
Name = TypeVar("Name")

_JOB: Final = "scopebound_engine.rego.bulk.child:serve"
# About 30 ms of work, so that neither hops nor a chunk that is asked again matter.
_CHUNK: Final = 64
# Each lost one takes as long as an evaluation may: more say nothing new about the policy.
_MOST_LOST: Final = 100
# Of wall time, for processes that wait for a processor.
_MARGIN_SECONDS: Final = 10.0


class BulkJudge:
    """Verdicts of one program; a context manager, which ends its processes. For one thread.

    `codes` are the deny codes that may come, each with its severity.
    """

    def __init__(
        self,
        program: Program,
        codes: Mapping[str, str],
        *,
        evaluation_seconds: float,
        seconds: float,
        processes: int | None = None,
    ) -> None:
        """`seconds` bound it all; without `processes` there are as many as processors."""
        self._program, self._codes = program, dict(codes)
        self._evaluation_seconds, self._seconds = evaluation_seconds, seconds
        self._processes = processes or len(os.sched_getaffinity(0))
        self._until = 0.0
        self._free: list[_Process] = []
        self._lost: list[EvaluationError] = []
        self._stack = ExitStack()
        self._control: socket.socket
        self.origins: Origins = {}

    def __enter__(self) -> Self:
        """Compiles. Raises CompileError with findings, EngineError."""
        self._until = time.monotonic() + self._seconds
        with ExitStack() as stack:
            self._control, theirs = socket.socketpair()
            stack.callback(self._control.close)
            with theirs:
                program = self._program
                values = stack.enter_context(
                    started(
                        _JOB,
                        *(theirs.fileno(), dict(program.modules), dict(program.data)),
                        *(program.entrypoint, self._evaluation_seconds),
                        seconds=self._seconds,
                        pass_fds=[theirs.fileno()],
                    )
                )
            told = next(values)
            self.origins = {code: tuple(places) for code, places in told.items()}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        for process in self._free:
            process.close()

    def verdicts(self, questions: Iterable[tuple[Name, Facts]]) -> Iterator[tuple[Name, Answer]]:
        """The verdict on each of these facts, or why there is none, in their order.

        Raises EvaluatorTimeoutError when the time for it all is over, EngineError where too many
        evaluations end their process.
        """
        threads = ThreadPoolExecutor(self._processes, "bulk-judge")
        pending: deque[tuple[list[Name], Future[list[Answer]]]] = deque()
        waiting = iter(questions)
        try:
            while chunk := list(islice(waiting, _CHUNK)):
                names, facts = zip(*chunk, strict=True)
                pending.append((list(names), threads.submit(self._answers, facts)))
                # As many again as are under way, so that no process waits for the next chunk.
                while len(pending) > 2 * self._processes:
                    yield from self._taken(*pending.popleft())
            while pending:
                yield from self._taken(*pending.popleft())
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _taken(
        self, names: list[Name], answers: "Future[list[Answer]]"
    ) -> Iterator[tuple[Name, Answer]]:
        left = self._until - time.monotonic()
        if left <= 0 or not wait([answers], left).done:
            message = f"not all was decided within {self._seconds:g} s; ask for less of it"
            raise EvaluatorTimeoutError(message)
        yield from zip(names, answers.result(), strict=True)

    def _answers(self, chunk: Sequence[Facts]) -> list[Answer]:
        process = self._free.pop() if self._free else self._forked()
        try:
            replies = process.ask(chunk, self._evaluation_seconds * len(chunk))
        except (EOFError, OSError):
            process.close()
            return [self._alone(facts) for facts in chunk]
        self._free.append(process)
        return [self._read(*reply) for reply in replies]

    def _alone(self, facts: Facts) -> Answer:
        """The answer of a process of its own, whose end is then due to these facts."""
        process, began = self._forked(), time.monotonic()
        try:
            [reply] = process.ask([facts], self._evaluation_seconds)
        except (EOFError, OSError):
            process.close()
            return self._loss(time.monotonic() - began)
        self._free.append(process)
        return self._read(*reply)

    def _loss(self, took: float) -> EvaluationError:
        if took >= self._evaluation_seconds:
            limit = f"{self._evaluation_seconds * 1000:g} ms"
            lost: EvaluationError = EvaluatorTimeoutError(f"the policy took longer than {limit}")
        else:
            lost = EvaluatorCrashedError("the evaluator's process ended while the policy ran")
        self._lost.append(lost)
        if len(self._lost) > _MOST_LOST:
            raise EngineError(
                f"more than {_MOST_LOST} evaluations took too long or ended their process, as the "
                f"last one: {lost}; mend the policy first"
            )
        return lost

    def _read(self, kind: bytes, body: bytes) -> Answer:
        try:
            return read_verdict(kind, body, self._codes)
        except EvaluationError as error:
            return error

    def _forked(self) -> "_Process":
        mine, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [wire.FORK], [theirs.fileno()])
            except OSError as error:
                mine.close()
                raise EngineError("the process that compiled the policy has ended") from error
        return _Process(mine)


class _Process:
    """A process that answers, asked by one thread at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._replies: io.BufferedReader = connection.makefile("rb")

    def ask(self, questions: Sequence[Facts], seconds: float) -> list[tuple[bytes, bytes]]:
        """Kind and body of the replies. Raises EOFError or OSError where it dies or hangs."""
        self._connection.settimeout(seconds + _MARGIN_SECONDS)
        data = marshal.dumps(list(questions))
        self._connection.sendall(wire.CHUNK.pack(len(data)) + data)
        return [self._reply() for _ in questions]

    def close(self) -> None:
        """It ends by that."""
        self._replies.close()
        self._connection.close()

    def _reply(self) -> tuple[bytes, bytes]:
        kind, size = wire.REPLY.unpack(self._exactly(wire.REPLY.size))
        return kind, self._exactly(size) if size else b""

    def _exactly(self, size: int) -> bytes:
        data = self._replies.read(size)
        if len(data) < size:
            raise EOFError("the process has ended")
        return data
