"""Asks a compiled policy for its verdicts on calls, in a process that a verdict may end.

For the child of the sandbox. An evaluator does the same with the same limit on time, but of the
processor's, so that a busy machine is no fault of the policy.
"""

import json
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine.bundle.gate.calls import Case
from scopebound_engine.errors import EvaluationError, UndeclaredCodeError
from scopebound_engine.rego.forks import run_forked
from scopebound_engine.rego.pool import wire
from scopebound_engine.rego.pool.replies import read_verdict
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.sandboxed import OUT_OF_TIME, ending, time_limit
from scopebound_engine.verdict import Verdict

# As SCOPEBOUND_EVALUATION_DEADLINE_MS unless set: what no evaluator waits for is no verdict.
_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, with the codes of a denial; or `problem`, why there is none.

    `lost` says that the question ended the process that was asked; `undeclared` is the code of a
    denial that the manifest does not declare.
    """

    allow: bool = False
    codes: tuple[str, ...] = ()
    problem: str = ""
    lost: bool = False
    undeclared: str = ""


class Trial:
    """A policy to be asked. `codes` gives each declared deny code its severity."""

    def __init__(self, program: Program, codes: Mapping[str, str]) -> None:
        """Compiles it. Raises CompileError."""
        # Loads the engine, which who only imports this module must not do.
        from scopebound_engine.rego.engine import compile_program

        self._compiled = compile_program(program)
        self._codes = codes

    def answers(self, cases: Iterable[Case]) -> Iterator[tuple[Case, Answer]]:
        """Each case with its answer. One that ends its process costs no other its answer."""
        listed = list(cases)

        def judged(number: int) -> dict[str, Any]:
            try:
                with time_limit(_SECONDS, signal.ITIMER_PROF):
                    verdict = self._verdict(listed[number].facts)
            except UndeclaredCodeError as error:
                return {"problem": str(error), "undeclared": error.code}
            except EvaluationError as error:
                return {"problem": str(error)}
            return {"allow": verdict.allow, "codes": [item.code for item in verdict.violations]}

        for number, found in run_forked([range(len(listed))], judged, _lost, processes=1):
            yield listed[number], Answer(**found | {"codes": tuple(found.get("codes", ()))})

    def _verdict(self, facts: Mapping[str, Any]) -> Verdict:
        """What the engine would make of an evaluator's reply. Raises EvaluationError."""
        outcome = self._compiled.evaluate(facts)
        if outcome.allow:
            return read_verdict(wire.ALLOW, b"", self._codes)
        reply = json.dumps(outcome.violations, ensure_ascii=False)
        body = reply.encode("utf-8", "surrogatepass")
        if len(body) > wire.MAX_REPLY_BYTES:
            raise EvaluationError(f"the violations are {len(body)} bytes of JSON; shorten them")
        return read_verdict(wire.DENY, body, self._codes)


def _lost(status: int) -> dict[str, Any]:
    late = -status in OUT_OF_TIME
    problem = f"it takes more than {_SECONDS * 1_000:g} ms of processor time"
    return {"problem": problem if late else ending(status), "lost": True}
