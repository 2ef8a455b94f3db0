"""EvaluatorPool: a bundle's verdicts by a deadline, from processes that can be killed.

The Rego engine cannot be interrupted, and an input or a policy can crash it. So it runs in children
only: a spawner, started by exec, compiles the program once and forks evaluators, each of which
answers one request at a time on its own socket. One that is late is killed and replaced.

    evaluators.py   the pool            keeper.py    replaces what is lost
    roster.py       who is free         children.py  handles of the processes
    replies.py      reply to verdict    spawner.py   what runs in the processes
    teller.py       the rules' places
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from scopebound_engine.errors import EngineError, EvaluationError
from scopebound_engine.rego.pool.children import Evaluator
from scopebound_engine.rego.pool.keeper import Keeper
from scopebound_engine.rego.pool.replies import read_verdict
from scopebound_engine.rego.pool.roster import LEAST_SECONDS
from scopebound_engine.rego.pool.teller import Origins
from scopebound_engine.rego.pool.wire import encode_facts
from scopebound_engine.rego.program import Program
from scopebound_engine.verdict import Verdict

# The first evaluation of a process also copies the pages that it writes to.
_WARM_UP_SECONDS: Final = 1.0
# What is late ends some milliseconds after its deadline, on a busy machine a tenth of a second.
_CLOSE_MARGIN: Final = 0.25
# For the record of a denial. To look for them takes a tenth of a second, of a thousand rules some.
_PLACES_SECONDS: Final = 0.2
_EMPTY: Final = encode_facts({})


class EvaluatorPool:
    """One bundle's evaluators. A new bundle is a new pool: start it, swap, close the old one.

    `codes` are the deny codes that the bundle declares, each with its severity.
    """

    def __init__(
        self,
        program: Program,
        *,
        size: int,
        evaluation_seconds: float,
        codes: Mapping[str, str],
        on_replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._seconds = evaluation_seconds
        self._codes = dict(codes)
        self._keeper = Keeper(program.to_bytes(), size, self._warm_up, on_replaced)
        self._roster = self._keeper.roster
        self._closing = threading.Lock()

    def start(self, timeout: float) -> None:
        """Compiles, for at most `timeout` seconds, and warms up.

        Raises CompileError with findings, EngineError where the policy is unfit to decide.
        """
        self._keeper.start(timeout)

    def evaluate(self, facts: Mapping[str, Any], deadline: float) -> Verdict:
        """The policy's verdict on these facts, by the deadline, a time of `time.monotonic()`.

        Raises OverloadError where no evaluator was free in time, EvaluatorTimeoutError,
        EvaluatorCrashedError, EvaluatorsClosedError where the pool was closed before one was free,
        and EvaluationError where the policy gave no well-formed verdict.
        """
        request = _encode(facts)
        while True:
            evaluator = self._roster.take(deadline)
            try:
                nonce = evaluator.submit(request, self._seconds_until(deadline))
                kind, body = evaluator.reply(nonce)
            except ConnectionError:
                # It died while idle, without a look at the request: another one can serve it.
                self._roster.lose(evaluator)
                continue
            except BaseException:
                self._roster.lose(evaluator)
                raise
            if evaluator.spent:
                self._roster.lose(evaluator)
            else:
                self._roster.give_back(evaluator)
            return read_verdict(kind, body, self._codes)

    def _seconds_until(self, deadline: float) -> float:
        return min(self._seconds, max(deadline - time.monotonic(), LEAST_SECONDS))

    def origins(self, seconds: float = _PLACES_SECONDS) -> Origins:
        """Which rules can deny with a code, as far as it is known; none before the start.

        In the moments after the start, while they are sought, it waits for so long at most.
        """
        return self._keeper.places.known(seconds)

    def alive(self) -> int:
        """How many evaluators are ready, busy ones included."""
        return len(self._roster.ready())

    def close(self) -> None:
        """Lets running evaluations finish, then ends every process; more calls do nothing."""
        with self._closing:
            self._keeper.close(self._seconds + _CLOSE_MARGIN)

    def _warm_up(self, evaluator: Evaluator) -> None:
        try:
            nonce = evaluator.submit(_EMPTY, max(self._seconds, _WARM_UP_SECONDS))
            verdict = read_verdict(*evaluator.reply(nonce), self._codes)
        except (EvaluationError, ConnectionError) as error:
            raise EngineError(f"the policy gives no verdict on an empty input: {error}") from error
        if verdict.allow:
            raise EngineError(
                "the policy allows an empty input: an allow must depend on facts that are present"
            )


def _encode(facts: Mapping[str, Any]) -> bytes:
    try:
        return encode_facts(facts)
    except ValueError as error:
        raise EvaluationError("the facts hold something that is not a JSON value") from error
