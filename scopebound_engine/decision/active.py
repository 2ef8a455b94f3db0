"""The bundle in force in this process, and the evaluators that hold it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.decision.verdict import Verdict
from scopebound_engine.errors import EvaluationError
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.rego.program import Program

# Compiling the largest bundle that the gate lets through (1,000 rules) takes some seconds.
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class BundleRef:
    """Which bytes decided; every decision carries it."""

    id: str
    version: str
    checksum: str


def program_of(bundle: VerifiedBundle) -> Program:
    """What evaluators load: the bundle without its tests."""
    return Program(
        modules=tuple(bundle.rules().items()),
        data=bundle.data(),
        entrypoint=bundle.manifest.entrypoint,
    )


class ActiveBundle:
    """Evaluates with the bundle in force. Without one, every evaluation is an EvaluationError."""

    def __init__(self, *, evaluators: int, evaluation_seconds: float) -> None:
        self._size, self._seconds = evaluators, evaluation_seconds
        self._current: tuple[BundleRef, EvaluatorPool] | None = None

    def load(self, ref: BundleRef, bundle: VerifiedBundle) -> None:
        """Start and warm evaluators of this bundle, then let them decide.

        Raises CompileError or EngineError; what was in force stays in force.
        """
        pool = EvaluatorPool(
            program_of(bundle),
            size=self._size,
            evaluation_seconds=self._seconds,
            codes={code.code: code.severity for code in bundle.manifest.deny_codes},
        )
        try:
            pool.start(START_SECONDS)
        except BaseException:
            pool.close()
            raise
        former, self._current = self._current, (ref, pool)
        if former is not None:
            former[1].close()

    @property
    def ref(self) -> BundleRef | None:
        """The bundle in force, if there is one."""
        return self._current[0] if self._current else None

    @property
    def evaluators(self) -> int:
        """How many evaluators are ready."""
        return self._current[1].alive() if self._current else 0

    def evaluate(self, facts: Mapping[str, Any], deadline: float) -> tuple[Verdict, BundleRef]:
        """The verdict on these facts and the bundle that gave it.

        `deadline` is a time of `time.monotonic()`. Raises EvaluationError.
        """
        current = self._current
        if current is None:
            raise EvaluationError(
                "no policy bundle is active; activate one: `scopebound-engine serve` does so at "
                "its first start"
            )
        ref, pool = current
        return pool.evaluate(facts, deadline), ref

    def close(self) -> None:
        """End the evaluators."""
        current, self._current = self._current, None
        if current is not None:
            current[1].close()
