"""The child's side: one program compiled to be asked often, and processes that answer in chunks.

A job for the sandbox. It tells what a program reads and where its rules stand, then forks one
process for each socket that it is sent, until its parent lets go. What is asked is little more than
what the program reads, of a plan with few places: both spare the engine a fifth of its time. Who
asks splits a chunk whose process died, so each evaluation has an alarm of its own.
"""

import gc
import json
import marshal
import os
import resource
import signal
import socket
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NoReturn

from scopebound_engine.errors import EngineError, EvaluationError, InputError
from scopebound_engine.rego import frames, projection
from scopebound_engine.rego.binary import Encoder
from scopebound_engine.rego.bulk import wire
from scopebound_engine.rego.compiler import LoadedPlan, compile_placed
from scopebound_engine.rego.origins import origins
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.pool.wire import ALLOW, DENY, FAILED, MAX_REPLY_BYTES, receive_exactly
from scopebound_engine.rego.program import Program

_OPEN_FILES: Final = 16


def serve(
    control: int, modules: dict[str, str], data: dict[str, Any], entrypoint: str, seconds: float
) -> Iterator[Any]:
    """What the program reads and the places of its rules; ends when the control socket does.

    `seconds` are for each evaluation. Raises CompileError.
    """
    program = Program(tuple(modules.items()), data, entrypoint)
    reads, places, loaded = _loaded(program)
    yield {"reads": reads, "origins": places}
    # What stands here is shared with every fork until somebody writes to it.
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=control) as commands:
        while sockets := socket.recv_fds(commands, 1, 1)[1]:
            if os.fork() == 0:
                _live(socket.socket(fileno=sockets[0]), loaded, entrypoint, seconds)
            os.close(sockets[0])


def _loaded(program: Program) -> tuple[projection.Tree, dict[str, list[str]], LoadedPlan]:
    modules = dict(program.modules)
    document, frame = compile_placed(modules, [program.entrypoint], program.data)
    plan = Plan(document, modules)
    reads, found = projection.read_of(document, plan), origins(document, program)
    places = frames.pack(document, plan.callees)
    encoder = Encoder(document, replace(frame, locals=places or frame.locals))
    return reads, found, LoadedPlan(encoder.encode([program.entrypoint], sorted(plan.functions)))


def _live(
    connection: socket.socket, loaded: LoadedPlan, entrypoint: str, seconds: float
) -> NoReturn:
    """The life of a fork; it leaves without a word of the process it was forked from."""
    status = 1
    try:
        own = connection.fileno()
        os.closerange(3, own)
        os.closerange(own + 1, _OPEN_FILES)
        gc.enable()
        resource.setrlimit(resource.RLIMIT_NOFILE, (own + 1, own + 1))
        with suppress(EOFError, ConnectionError):
            while True:
                (size,) = wire.CHUNK.unpack(receive_exactly(connection, wire.CHUNK.size))
                questions = marshal.loads(receive_exactly(connection, size))  # noqa: S302 (of the own parent)
                answers = [_answer(loaded, entrypoint, facts, seconds) for facts in questions]
                connection.sendall(b"".join(answers))
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def _answer(loaded: LoadedPlan, entrypoint: str, facts: Mapping[str, Any], seconds: float) -> bytes:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    kind, body = _judged(loaded, entrypoint, facts)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return wire.REPLY.pack(kind, len(body)) + body


def _judged(loaded: LoadedPlan, entrypoint: str, facts: Mapping[str, Any]) -> tuple[bytes, bytes]:
    try:
        loaded.set_input(facts)
        outcome = loaded.outcome(entrypoint)
    except InputError as error:
        return FAILED, _json(f"the input cannot be given to the engine: {error}")
    except (EvaluationError, EngineError) as error:
        return FAILED, _json(str(error))
    if outcome.allow:
        return ALLOW, b""
    body = _json(outcome.violations)
    if len(body) > MAX_REPLY_BYTES:
        return FAILED, _json(f"the violations are {len(body)} bytes of JSON; shorten them")
    return DENY, body


def _json(value: Any) -> bytes:
    # A lone surrogate makes the parent refuse the reply.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
