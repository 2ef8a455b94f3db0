"""The child's side of `sandbox.py`: what runs in the process that may die.

Run as `python -m scopebound_engine.rego.sandboxed`, with the job as JSON on its standard input. The
answers go to its standard output, a JSON object on each line.
"""

import gc
import importlib
import inspect
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from scopebound_engine.background import give_way
from scopebound_engine.errors import EngineError, FindingsError

# How a child ends that one of its own timers or its limit on processor time stopped.
OUT_OF_TIME: Final = frozenset({signal.SIGALRM, signal.SIGPROF, signal.SIGXCPU})
_FILE_BYTES: Final = 256 << 20


@contextmanager
def time_limit(seconds: float, timer: int = signal.ITIMER_REAL) -> Iterator[None]:
    """For jobs, in the child: this block ends the process when it takes longer than `seconds`.

    They are of wall time, or of what another timer of the kernel counts. Its signal keeps its
    default action, because no Python runs while the engine loops.
    """
    before, _ = signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        left, _ = signal.setitimer(timer, 0)
        if before:
            signal.setitimer(timer, max(before - (seconds - left), 0.001))


def ending(status: int) -> str:
    """How a process with this exit code ended, or by this signal, which is negative."""
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with {status}"
    return f"the Rego engine's process {how}"


def _main() -> None:
    """The child: the job's module and with it the engine, then the limits, then the job."""
    # On a server calls are decided meanwhile.
    give_way()
    # A job is short, and what it leaves goes with its process.
    gc.disable()
    request = json.load(sys.stdin)
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    module, _, name = request["job"].partition(":")
    job = getattr(importlib.import_module(module), name)
    _limit(request["seconds"], request["memory_bytes"])
    tempfile.tempdir = str(Path.cwd())
    # The engine prints to the standard streams; the answers get a descriptor of their own.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for message in _answers(job, request["args"]):
            answers.write(json.dumps(message) + "\n")
            answers.flush()


def _answers(job: Callable[..., Any], args: list[Any]) -> Iterator[dict[str, Any]]:
    try:
        result = job(*args)
        for value in result if inspect.isgenerator(result) else (result,):
            yield {"value": value}
    except FindingsError as error:
        found = [asdict(finding) for finding in error.findings]
        yield {"error": error.summary, "findings": found}
    except EngineError as error:
        yield {"error": str(error)}
    except MemoryError:
        yield {"error": "the job needs more memory than it may have"}
    yield {"end": True}


def _limit(seconds: float, memory_bytes: int) -> None:
    """What the kernel enforces also when the parent is no more."""
    # Loads the engine, which a parent that only imports this module must not do.
    from scopebound_engine.rego.native import limit_memory

    limit_memory(memory_bytes)
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _main()
