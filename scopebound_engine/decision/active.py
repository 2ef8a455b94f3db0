"""The bundle in force in this process, those that could be at once, and the evaluators they hold.

Three bundles at most have warm evaluators: the one in force, the one that was in force before it,
so that going back is a matter of one reference, and the candidate of an activation under way.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from scopebound_engine.bundle.matchers import Matchers
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.rego.pool.teller import Origins
from scopebound_engine.rego.program import Program

# Compiling the largest bundle that the gate lets through (1,000 rules) takes some seconds.
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class BundleRef:
    """Which bytes decided, and as which generation they were in force; every decision carries it.

    `id` and `version` are the stored version's, `checksum` is the SHA-256 of its archive in hex.
    `origins` tells the places of its rules by deny code, where it is loaded and they are known.
    """

    id: str
    version: str
    checksum: str
    generation: int
    origins: Callable[[], Origins] = field(default=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Ready:
    """A verified bundle whose evaluators are warm; `key_id` names the key that signed it."""

    checksum: str
    key_id: str
    pool: EvaluatorPool
    matchers: Matchers


@dataclass(frozen=True, slots=True)
class Loaded:
    """What decides: a ready bundle and the generation it is in force as."""

    ref: BundleRef
    key_id: str
    pool: EvaluatorPool
    matchers: Matchers


def program_of(bundle: VerifiedBundle) -> Program:
    """What evaluators load: the bundle without its tests."""
    return Program(
        modules=tuple(bundle.rules().items()),
        data=bundle.data(),
        entrypoint=bundle.manifest.entrypoint,
    )


def start_pool(
    bundle: VerifiedBundle,
    *,
    evaluators: int,
    seconds: float,
    on_replaced: Callable[[], None] = lambda: None,
) -> EvaluatorPool:
    """Warm evaluators of a bundle, with `seconds` for each verdict.

    Raises CompileError, EngineError.
    """
    pool = EvaluatorPool(
        program_of(bundle),
        size=evaluators,
        evaluation_seconds=seconds,
        codes={code.code: code.severity for code in bundle.manifest.deny_codes},
        on_replaced=on_replaced,
    )
    try:
        pool.start(START_SECONDS)
    except BaseException:
        pool.close()
        raise
    return pool


class ActiveBundle:
    """Holds warm bundles and says which is in force. Safe for many threads; one of them prepares.

    Nothing here waits for a running evaluation: a bundle that is let go of is closed by a thread of
    its own, which lets them finish.
    """

    def __init__(
        self,
        *,
        evaluators: int,
        evaluation_seconds: float,
        on_replaced: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_replaced` is told of each evaluator that took the place of one that was lost."""
        self._size, self._seconds = evaluators, evaluation_seconds
        self._on_replaced = on_replaced
        self._lock = threading.Lock()
        self._current: Loaded | None = None
        # The one in force first, then the standby.
        self._kept: tuple[Ready, ...] = ()
        self._candidate: Ready | None = None

    @property
    def current(self) -> Loaded | None:
        """The bundle in force here, if there is one."""
        return self._current

    @property
    def generation(self) -> int:
        """The generation in force here; 0 before the first."""
        current = self._current
        return current.ref.generation if current else 0

    @property
    def evaluators(self) -> int:
        """How many evaluators of the bundle in force are ready."""
        current = self._current
        return current.pool.alive() if current else 0

    def prepare(self, bundle: VerifiedBundle) -> None:
        """Have evaluators of this bundle warm; those that are already stay as they are.

        The candidate before it is let go. Raises BundleError, CompileError or EngineError.
        """
        with self._lock:
            is_warm = self._find(bundle.checksum) is not None
        if not is_warm:
            self._set_candidate(self._started(bundle))

    def promote(self, ref: BundleRef) -> bool:
        """Put a warm bundle in force, unless a newer generation is; false where it is not warm."""
        with self._lock:
            if ref.generation <= self.generation:
                return True
            ready = self._find(ref.checksum)
            if ready is None:
                return False
            if ready is self._candidate:
                self._candidate = None
            kept = (ready, *(one for one in self._kept if one is not ready))
            self._kept, surplus = kept[:2], kept[2:]
            ref = replace(ref, origins=ready.pool.origins)
            self._current = Loaded(ref, ready.key_id, ready.pool, ready.matchers)
        _close(*surplus)
        return True

    def suspend(self) -> None:
        """Have none in force; those that are warm stay so."""
        with self._lock:
            self._current = None

    def discard(self) -> None:
        """Let go of the candidate."""
        self._set_candidate(None)

    def close(self) -> None:
        """End all evaluators, once those that are busy have answered."""
        with self._lock:
            ended = (*self._kept, *([self._candidate] if self._candidate else []))
            self._kept, self._candidate, self._current = (), None, None
        for ready in ended:
            ready.pool.close()

    def _find(self, checksum: str) -> Ready | None:
        warm = (*self._kept, self._candidate)
        return next((one for one in warm if one and one.checksum == checksum), None)

    def _set_candidate(self, ready: Ready | None) -> None:
        with self._lock:
            former, self._candidate = self._candidate, ready
        if former is not None:
            _close(former)

    def _started(self, bundle: VerifiedBundle) -> Ready:
        matchers = Matchers.of(bundle.manifest)
        pool = start_pool(
            bundle,
            evaluators=self._size,
            seconds=self._seconds,
            on_replaced=self._on_replaced,
        )
        return Ready(bundle.checksum, bundle.key_id, pool, matchers)


def _close(*surplus: Ready) -> None:
    for ready in surplus:
        threading.Thread(target=ready.pool.close, name="bundle-close", daemon=True).start()
