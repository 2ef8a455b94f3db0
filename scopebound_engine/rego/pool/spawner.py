"""The child's side: compiles one program, forks evaluators on request, and what those do.

Run by `children.Spawner` as `python -m scopebound_engine.rego.pool.spawner FD`, never imported. It
has one thread, so that forking is safe, an empty environment, and descriptors of its own only.
All that it starts ends with it: it ends when its control socket does, an evaluator when its own
socket does, and an evaluator that loops by an alarm that it sets before each evaluation. That holds
as well when the worker or its master is killed with nobody left to clean up.
"""

import gc
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from scopebound_engine.errors import CompileError
from scopebound_engine.rego.engine import Compiled, compile_program
from scopebound_engine.rego.native import limit_memory
from scopebound_engine.rego.pool import wire
from scopebound_engine.rego.pool.answers import answer, as_json
from scopebound_engine.rego.pool.wire import receive_exactly
from scopebound_engine.rego.program import Program

_MEMORY_BYTES: Final = 1 << 30
# The engine's allocator gives nothing back: an evaluator that ever grew so much lets itself be
# replaced.
_GROWTH_KIB: Final = 256 << 10
_OPEN_FILES: Final = 16
# After its deadline an evaluation is the parent's to kill; the alarm is for when it cannot.
_ALARM_MARGIN: Final = 0.05
_MOST_FINDINGS: Final = 200


def main() -> None:
    """The life of this process, and from a fork on that of an evaluator."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _name("spawner")
    _take_no_orders()
    _limit()
    # Either socket ends when the parent closes it or is no more.
    with suppress(EOFError, ConnectionError):
        compiled = _compile(control)
        if compiled is None:
            return
        # What stands here is shared with every evaluator until somebody writes to it.
        gc.collect()
        gc.freeze()
        forked = _fork_on_command(control)
        if forked is not None:
            work, connection = forked
            work(connection, compiled)


def _take_no_orders() -> None:
    """Terminals and service managers signal whole groups; a graceful stop needs the evaluators."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    # The alarm must kill: a handler would not run before the engine returns.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _limit() -> None:
    limit_memory(_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))


def _compile(control: socket.socket) -> Compiled | None:
    seconds, size = wire.PROGRAM.unpack(receive_exactly(control, wire.PROGRAM.size))
    program = Program.from_bytes(receive_exactly(control, size))
    signal.setitimer(signal.ITIMER_REAL, seconds + _ALARM_MARGIN)
    try:
        compiled = compile_program(program)
    except CompileError as error:
        found = json.dumps([asdict(finding) for finding in error.findings[:_MOST_FINDINGS]])
        control.sendall(wire.FINDINGS.pack(len(found)) + found.encode("ascii"))
        return None
    signal.setitimer(signal.ITIMER_REAL, 0)
    control.sendall(wire.FINDINGS.pack(0))
    return compiled


def _fork_on_command(control: socket.socket) -> "tuple[_Work, socket.socket] | None":
    """Serves commands until the control socket ends; in a fork returns its work and its socket.

    A fork is reaped here and only by the command that ends it, so its id cannot have passed to
    another process before.
    """
    children: set[int] = set()
    while True:
        message, sockets, _, _ = socket.recv_fds(control, wire.COMMAND.size, 1)
        if not message:
            for pid in children:
                _end(pid)
            return None
        command, pid = wire.COMMAND.unpack(message)
        if command in _WORK:
            pid = os.fork()
            if pid == 0:
                control.close()
                return _WORK[command], socket.socket(fileno=sockets[0])
            os.close(sockets[0])
            children.add(pid)
            control.sendall(wire.ANSWER.pack(pid))
        else:
            children.remove(pid)
            control.sendall(wire.ANSWER.pack(_end(pid)))


def _end(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _name(name: str) -> None:
    """What `ps` and `top` call this process, instead of python; it is for people."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name, encoding="ascii")


def _evaluate_on_request(connection: socket.socket, compiled: Compiled) -> None:
    _name("evaluator")
    # No descriptor can be opened from here on: the three standard streams are below the limit.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    ceiling = _peak_kib() + _GROWTH_KIB
    last = False
    while not last:
        head = receive_exactly(connection, wire.REQUEST.size)
        nonce, seconds, size = wire.REQUEST.unpack(head)
        body = receive_exactly(connection, size)
        signal.setitimer(signal.ITIMER_REAL, seconds + _ALARM_MARGIN)
        kind, said = answer(compiled, wire.decode_facts(body))
        signal.setitimer(signal.ITIMER_REAL, 0)
        last = _peak_kib() > ceiling
        connection.sendall(wire.REPLY.pack(nonce, kind, last, len(said)) + said)


def _tell_origins(connection: socket.socket, compiled: Compiled) -> None:
    _name("teller")
    signal.setitimer(signal.ITIMER_REAL, wire.ORIGINS_SECONDS + _ALARM_MARGIN)
    connection.sendall(as_json(compiled.origins()))


_Work = Callable[[socket.socket, Compiled], None]
_WORK: Final[Mapping[bytes, _Work]] = {wire.FORK: _evaluate_on_request, wire.TELL: _tell_origins}


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
