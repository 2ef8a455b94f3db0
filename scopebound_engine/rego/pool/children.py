"""The parent's side: handles of a spawner process and of the evaluators that it forks.

What the processes do stands in `spawner.py`, their messages in `wire.py`.
"""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from scopebound_engine import baton, strict_json
from scopebound_engine.errors import (
    CompileError,
    EngineError,
    EvaluatorCrashedError,
    EvaluatorTimeoutError,
    Finding,
    InputError,
)
from scopebound_engine.rego.pool import wire
from scopebound_engine.rego.pool.wire import receive_exactly
from scopebound_engine.rego.sandbox import decode_record

if TYPE_CHECKING:
    from scopebound_engine.rego.pool.teller import Teller

# -I ignores PYTHON* variables, the user's site and the current folder; without a locale in the
# environment UTF-8 has to be asked for.
_COMMAND: Final = (sys.executable, "-I", "-X", "utf8", "-m", "scopebound_engine.rego.pool.spawner")
# A fork takes about 2 ms, an end as long as the kernel needs to free the memory.
_COMMAND_SECONDS: Final = 5.0
_GRACE_SECONDS: Final = 1.0
_MAX_FINDINGS_BYTES: Final = 1 << 20
_CHUNK: Final = 1 << 16
_ALLOW_TAIL: Final = wire.REPLY.pack(b"", wire.ALLOW, False, 0)[16:]
_TIMEVAL: Final = struct.Struct("@ll")


class Evaluator:
    """One evaluator process, asked over its own socket by one thread at a time."""

    def __init__(self, pid: int, connection: socket.socket, spawner: "Spawner") -> None:
        self.pid, self.spawner = pid, spawner
        self.spent = False
        self._socket = connection
        self._allowed = self._deadline = self._bounded = 0.0

    def submit(self, facts: bytes, seconds: float) -> bytes:
        """Sends a request; the nonce its reply will carry.

        Raises ConnectionError where the process had ended before: nothing was evaluated.
        Raises EvaluatorTimeoutError where it does not take the request.
        """
        self._allowed, self._deadline = seconds, time.monotonic() + seconds
        nonce = os.urandom(16)
        message = memoryview(wire.REQUEST.pack(nonce, seconds, len(facts)) + facts)
        self._bound(seconds)
        try:
            sent = self._socket.send(message)
            while sent < len(message):
                self._bound(self._deadline - time.monotonic())
                sent += self._socket.send(message[sent:])
        except BlockingIOError as error:
            raise self._late() from error
        return nonce

    def reply(self, nonce: bytes) -> tuple[bytes, bytes]:
        """The kind and the rest of the reply to the request with this nonce.

        Sets `spent` where it was the last. Raises EvaluatorTimeoutError or EvaluatorCrashedError,
        and ConnectionError where the process ended before it had read the request: for that case
        the kernel resets the connection.
        """
        data = self._receive()
        if data == nonce + _ALLOW_TAIL:
            return wire.ALLOW, b""
        while len(data) < wire.REPLY.size:
            data += self._receive_more()
        echo, kind, self.spent, size = wire.REPLY.unpack_from(data)
        if echo != nonce or size > wire.MAX_REPLY_BYTES:
            raise EvaluatorCrashedError("the evaluator answered out of turn; it was replaced")
        while len(data) < wire.REPLY.size + size:
            data += self._receive_more()
        if len(data) > wire.REPLY.size + size:
            raise EvaluatorCrashedError("the evaluator answered twice; it was replaced")
        return kind, data[wire.REPLY.size :]

    def fileno(self) -> int:
        """The descriptor to poll: it hangs up when the process ends."""
        return self._socket.fileno()

    def kill(self) -> None:
        """For one whose spawner has ended: idle it would end by itself, but not if it is stopped.

        Until its socket hangs up the process lives, and its id is its own.
        """
        poll = select.poll()
        poll.register(self._socket, 0)
        if not poll.poll(0):
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Closes the socket; the process ends by that when it is idle."""
        self._socket.close()

    def _receive_more(self) -> bytes:
        self._bound(self._deadline - time.monotonic())
        return self._receive()

    def _receive(self) -> bytes:
        try:
            with baton.lent():
                data = self._socket.recv(_CHUNK)
        except BlockingIOError as error:
            raise self._late() from error
        if not data:
            if time.monotonic() >= self._deadline:
                raise self._late()  # by its own alarm, before this thread could see to it
            raise EvaluatorCrashedError(
                "the evaluator's process ended while the policy ran; it was replaced. A policy or "
                "an input can crash the Rego engine: see the log for the signal"
            )
        return data

    def _bound(self, seconds: float) -> None:
        """Bounds each send and receive by the kernel's timer.

        Python's own timeouts poll before every call and so hand over the interpreter lock twice.
        """
        if seconds <= 0:
            raise self._late()
        if seconds != self._bounded:
            whole, part = divmod(max(int(seconds * 1_000_000), 1), 1_000_000)
            timeval = _TIMEVAL.pack(whole, part)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
            self._bounded = seconds

    def _late(self) -> EvaluatorTimeoutError:
        return EvaluatorTimeoutError(
            f"the policy gave no answer within {self._allowed * 1000:.0f} ms; its evaluator was "
            "killed and replaced"
        )


class Spawner:
    """A process that holds one compiled program and forks evaluators. For one thread at a time."""

    def __init__(self) -> None:
        """Starts the process. Raises EngineError where the system does not let it."""
        try:
            self._control, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [*_COMMAND, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    env={},
                    start_new_session=True,
                )
        except OSError as error:
            raise EngineError(
                f"the spawner of the evaluators cannot be started: {error}"
            ) from error

    def load(self, program: bytes, seconds: float) -> None:
        """Has the program compiled. Raises CompileError with findings, EngineError otherwise."""
        self._control.settimeout(seconds)
        try:
            self._control.sendall(wire.PROGRAM.pack(seconds, len(program)) + program)
            (size,) = wire.FINDINGS.unpack(receive_exactly(self._control, wire.FINDINGS.size))
            found = receive_exactly(self._control, min(size, _MAX_FINDINGS_BYTES)) if size else b""
        except TimeoutError as error:
            raise EngineError(f"the policy did not compile within {seconds:g} s") from error
        except (OSError, EOFError) as error:
            raise EngineError(f"the compilation of the policy {self.ending()}") from error
        self._control.settimeout(_COMMAND_SECONDS)
        if found:
            raise CompileError("the policy does not compile", _findings(found))

    def fork(self) -> Evaluator:
        """A new evaluator, not yet warm. Raises EngineError where the spawner cannot."""
        return Evaluator(*self.forked(wire.FORK), self)

    def forked(self, command: bytes) -> tuple[int, socket.socket]:
        """The id of a new process and the socket it works for. Raises EngineError."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise EngineError(f"no socket for an evaluator: {error}") from error
        with theirs:
            return self._command(command, 0, theirs), ours

    def end(self, forked: "Evaluator | Teller") -> str:
        """Kills and reaps what was forked; how it ended. Raises EngineError."""
        return _how(self._command(wire.END, forked.pid))

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def fileno(self) -> int:
        """The descriptor to poll: it hangs up when the process ends."""
        return self._control.fileno()

    def kill(self) -> None:
        """Ends the process at once, from any thread; a call that waits for it then raises."""
        self._process.kill()

    def close(self) -> None:
        """Ends the process and with it its evaluators."""
        self._control.close()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _command(self, command: bytes, pid: int, *sockets: socket.socket) -> int:
        message = wire.COMMAND.pack(command, pid)
        try:
            socket.send_fds(self._control, [message], [one.fileno() for one in sockets])
            (answer,) = wire.ANSWER.unpack(receive_exactly(self._control, wire.ANSWER.size))
        except (OSError, EOFError) as error:
            how = self.ending()
            self.kill()
            raise EngineError(f"the spawner of the evaluators {how}") from error
        return int(answer)

    def ending(self) -> str:
        """How the process ended, in words."""
        try:
            return _how(self._process.wait(_GRACE_SECONDS))
        except subprocess.TimeoutExpired:
            return "does not answer"


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with exit code {status}"
    return f"was ended by {signal.Signals(-status).name}"


def _findings(data: bytes) -> list[Finding]:
    try:
        return [decode_record(Finding, item) for item in strict_json.loads(data)]
    except (InputError, TypeError) as error:
        raise EngineError("the compilation of the policy answered with no list") from error
