"""Runs a job on a policy that nobody has vouched for, in a process of its own that may die.

The Rego engine is a C++ library: a policy can make it loop, eat memory or crash. So each job gets a
fresh interpreter, by exec (to fork is unsafe in a threaded server), with an empty environment, a
scratch folder, limits on memory, processor time and file size, and a deadline:

    findings = run_in_child("scopebound_engine.bundle.gate.inspection:inspect", modules, seconds=10)

The job is a function of a module, given by name so that the parent need not load the engine. Its
arguments and results are JSON, for a child whose memory may be corrupted must not be able to make
the parent run anything. A job that is a generator sends its values one by one: what it sent before
it died is not lost. The child's side stands in `sandboxed.py`.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args, get_origin

from scopebound_engine import strict_json
from scopebound_engine.errors import (
    CompileError,
    EngineError,
    EvaluationError,
    EvaluatorCrashedError,
    EvaluatorTimeoutError,
    Finding,
    InputError,
)
from scopebound_engine.rego.sandboxed import OUT_OF_TIME, ending

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MEMORY_BYTES: Final = 1 << 30
_ANSWER_BYTES: Final = 64 << 20
# -I ignores PYTHON* variables, the user's site and the current folder; without a locale in the
# environment UTF-8 has to be asked for.
_INTERPRETER: Final = (sys.executable, "-I", "-X", "utf8", "-m", "scopebound_engine.rego.sandboxed")
Record = TypeVar("Record", bound="DataclassInstance")


def run_in_child(
    job: Callable[..., Any] | str, *args: Any, seconds: float, memory_bytes: int = MEMORY_BYTES
) -> Any:
    """What `job(*args)` returns in a child process, as JSON carries it.

    `job` is a function at the top of a module, or its name, `module:function`; `memory_bytes` is
    what it may take beyond the loaded engine. Raises EvaluatorTimeoutError past `seconds`,
    EvaluatorCrashedError where the child died, CompileError where the job raised an error with
    findings, EngineError for its other errors.
    """
    values = list(stream_from_child(job, *args, seconds=seconds, memory_bytes=memory_bytes))
    return values[0] if values else None


def stream_from_child(
    job: Callable[..., Any] | str, *args: Any, seconds: float, memory_bytes: int = MEMORY_BYTES
) -> Iterator[Any]:
    """The values that the generator `job(*args)` yields in a child, as they arrive.

    `seconds` bounds the whole stream. Raises as `run_in_child` does.
    """
    with started(job, *args, seconds=seconds, memory_bytes=memory_bytes) as values:
        yield from values


@contextmanager
def started(
    job: Callable[..., Any] | str,
    *args: Any,
    seconds: float,
    memory_bytes: int = MEMORY_BYTES,
    pass_fds: Sequence[int] = (),
) -> Iterator[Iterator[Any]]:
    """`stream_from_child` with the child at work from now on, until the block is left.

    It gets the descriptors `pass_fds`, under their numbers.
    """
    deadline = time.monotonic() + seconds
    request = {
        "job": job if isinstance(job, str) else f"{job.__module__}:{job.__qualname__}",
        "args": args,
        "seconds": seconds,
        "memory_bytes": memory_bytes,
    }
    with (
        tempfile.TemporaryDirectory(prefix="scopebound-") as folder,
        _child(request, Path(folder), pass_fds) as child,
    ):
        yield _values(child, Path(folder), deadline, seconds)


def decode_record(kind: type[Record], value: Any) -> Record:
    """A dataclass from the object that `dataclasses.asdict` made of it in a child.

    Its fields are str, int, float, bool, Literal, or tuples of one kind of these or of dataclasses.
    Raises EvaluatorCrashedError where it does not fit: the child is not believed.
    """
    types = {field.name: field.type for field in fields(kind)}
    if not isinstance(value, dict) or value.keys() != types.keys():
        raise EvaluatorCrashedError(f"the child process answered with a malformed {kind.__name__}")
    return kind(**{name: _decoded(name, value[name], types[name]) for name in types})


def _decoded(name: str, value: Any, expected: Any) -> Any:
    if get_origin(expected) is tuple and isinstance(value, list):
        return tuple(_decoded(name, item, get_args(expected)[0]) for item in value)
    if isinstance(expected, type) and is_dataclass(expected):
        return decode_record(expected, value)
    if not _is_of(value, expected):
        raise EvaluatorCrashedError(f"the child process answered with a malformed {name}")
    return value


def _is_of(value: Any, expected: Any) -> bool:
    if get_origin(expected) is Literal:
        return value in get_args(expected)
    # strict_json reads 1.0 as the integer 1.
    return type(value) is expected or (type(value), expected) == (int, float)


@contextmanager
def _child(
    request: dict[str, Any], folder: Path, pass_fds: Sequence[int]
) -> Iterator["subprocess.Popen[bytes]"]:
    """The child at work, with its request on stdin as a file: no writer can block on it."""
    (folder / "request.json").write_text(json.dumps(request), encoding="ascii")
    with (folder / "request.json").open("rb") as stdin, (folder / "stderr").open("wb") as stderr:
        try:
            child = subprocess.Popen(
                _INTERPRETER,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=folder,
                env={},
                process_group=0,
                pass_fds=pass_fds,
            )
        except OSError as error:
            raise EngineError(f"no process for the Rego engine: {error}") from error
    try:
        yield child
    finally:
        # With all that it forked: the group has its number.
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        _stdout(child).close()


def _values(
    child: "subprocess.Popen[bytes]", folder: Path, deadline: float, seconds: float
) -> Iterator[Any]:
    for line in _lines(child, deadline, seconds):
        message = _decode(line)
        if message.get("end") is True:
            return
        if "value" not in message:
            raise _raised(message)
        yield message["value"]
    raise _died(child, folder)


def _lines(child: "subprocess.Popen[bytes]", deadline: float, seconds: float) -> Iterator[bytes]:
    """Whole lines until the child closes its end; EvaluatorTimeoutError past the deadline."""
    stdout, pending = _stdout(child), b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise EvaluatorTimeoutError(f"the Rego engine took longer than {seconds:g} s")
            chunk = os.read(stdout.fileno(), 1 << 20)
            if not chunk:
                return
            pending += chunk
            if len(pending) > _ANSWER_BYTES:
                raise EngineError(f"the child process sent more than {_ANSWER_BYTES >> 20} MiB")
            *lines, pending = pending.split(b"\n")
            yield from lines


def _stdout(child: "subprocess.Popen[bytes]") -> IO[bytes]:
    if child.stdout is None:
        raise EngineError("the child process was started without a pipe")
    return child.stdout


def _decode(line: bytes) -> dict[str, Any]:
    try:
        message = strict_json.loads(line, depth=256, values=10_000_000, keys=1_000_000)
    except InputError as error:
        raise EvaluatorCrashedError(f"the child process answered with no JSON: {error}") from error
    if not isinstance(message, dict):
        raise EvaluatorCrashedError("the child process answered with something else than an object")
    return message


def _raised(message: dict[str, Any]) -> EngineError:
    findings = message.get("findings")
    if isinstance(findings, list):
        found = [decode_record(Finding, finding) for finding in findings]
        return CompileError(str(message.get("error")), found)
    return EngineError(str(message.get("error")))


def _died(child: "subprocess.Popen[bytes]", folder: Path) -> EvaluationError:
    # Not reaped by this: until it is, no other process can be given its number.
    ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    if ended is None:
        raise EngineError("the child process is gone")
    status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
    if -status in OUT_OF_TIME:
        return EvaluatorTimeoutError("the Rego engine ran out of time and was stopped")
    words = (folder / "stderr").read_bytes()[-2000:].decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(words) if line.strip()), "")
    return EvaluatorCrashedError(ending(status) + (f": {last}" if last else ""))
