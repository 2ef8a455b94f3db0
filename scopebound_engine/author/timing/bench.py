"""`policy bench`: how long policies take to compile, and to decide typical calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine.author.folder import Sources
from scopebound_engine.bundle.gate import calls
from scopebound_engine.rego.sandbox import decode_record, started

_JOB: Final = "scopebound_engine.author.timing.job:measure"
# What compiling may take, and all that is not evaluated.
_MARGIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one call: what was decided, how many times it was asked, and what an answer took."""

    call: str
    decision: str
    evaluations: int
    per_second: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True, slots=True)
class Bench:
    """The timings, and what it took to compile the rules."""

    compile_seconds: float
    timings: tuple[Timing, ...]


def bench(
    sources: Sources, facts: Mapping[str, Mapping[str, Any]] | None = None, *, seconds: float = 3.0
) -> Bench:
    """The times of these facts by name, or of typical calls; `seconds` is for all of them.

    One evaluator on one core, without its connection to a worker. Raises FindingsError where not
    all can be read, has no manifest or does not compile, EngineError where it cannot be run.
    """
    manifest = sources.sound().require_manifest()
    asked = facts or {case.name: case.facts for case in calls.typical()}
    policy = [[*sources.rules.items()], sources.data, manifest.entrypoint]
    limit = seconds + _MARGIN_SECONDS
    with started(_JOB, policy, list(asked.items()), seconds, seconds=limit) as values:
        compiled = float(next(values))
        return Bench(compiled, tuple(decode_record(Timing, value) for value in values))
