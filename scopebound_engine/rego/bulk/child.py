"""The child's side: one program compiled once, and processes that are asked in chunks.

A job for the sandbox. It tells where the rules of its program stand, then forks a process for each
socket that it is sent, until its parent lets go of it. Who asks splits a chunk whose process died,
so each evaluation has an alarm of its own.
"""

import gc
import marshal
import os
import resource
import signal
import socket
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NoReturn

from scopebound_engine.rego.bulk import wire
from scopebound_engine.rego.engine import Compiled, compile_program
from scopebound_engine.rego.pool.answers import answer
from scopebound_engine.rego.pool.wire import receive_exactly
from scopebound_engine.rego.program import Program

_OPEN_FILES: Final = 16
# The engine's allocator gives nothing back: who ever grew so much ends, and another is forked.
_GROWTH_KIB: Final = 256 << 10


def serve(
    control: int, modules: dict[str, str], data: dict[str, Any], entrypoint: str, seconds: float
) -> Iterator[Any]:
    """Yields the places of the rules; then it forks, until the control socket ends.

    `seconds` are for each evaluation. Raises CompileError.
    """
    compiled = compile_program(Program(tuple(modules.items()), data, entrypoint))
    yield compiled.origins()
    # What stands here is shared with every fork until somebody writes to it.
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=control) as commands:
        while sockets := socket.recv_fds(commands, 1, 1)[1]:
            if os.fork() == 0:
                _live(socket.socket(fileno=sockets[0]), compiled, seconds)
            os.close(sockets[0])


def _live(connection: socket.socket, compiled: Compiled, seconds: float) -> NoReturn:
    """The life of a fork; it leaves without a word of the process it was forked from."""
    status = 1
    try:
        own = connection.fileno()
        os.closerange(3, own)
        os.closerange(own + 1, _OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (own + 1, own + 1))
        gc.enable()
        ceiling = _peak_kib() + _GROWTH_KIB
        with suppress(EOFError, ConnectionError):
            while _peak_kib() <= ceiling:
                _serve_chunk(connection, compiled, seconds)
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def _serve_chunk(connection: socket.socket, compiled: Compiled, seconds: float) -> None:
    (size,) = wire.CHUNK.unpack(receive_exactly(connection, wire.CHUNK.size))
    data = receive_exactly(connection, size)
    questions = marshal.loads(data)  # noqa: S302 (the parent wrote it)
    connection.sendall(b"".join([_reply(compiled, facts, seconds) for facts in questions]))


def _reply(compiled: Compiled, facts: dict[str, Any], seconds: float) -> bytes:
    # Of processor time: that the machine is busy is no fault of the policy.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    kind, body = answer(compiled, facts)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return wire.REPLY.pack(kind, len(body)) + body


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
