"""The decision point: one call in, one decision out; any doubt denies."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from scopebound_engine.decision import facts
from scopebound_engine.decision.active import BundleRef, Loaded
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.verdict import RetryGuidance, Severity, Verdict, Violation
from scopebound_engine.errors import (
    EvaluationError,
    EvaluatorsClosedError,
    OverloadError,
    ScopeboundError,
    StateUnavailableError,
    TokenError,
)
from scopebound_engine.session.state import Entry, SessionFacts, SessionState
from scopebound_engine.session.tokens import Tokens

EVALUATIONS_PER_SESSION: Final = 2
# What is left for the state and the policy to those who waited for their turn.
STATE_SECONDS: Final = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stages:
    """Where the time of a decision went, in seconds."""

    token: float = 0.0
    state: float = 0.0
    facts: float = 0.0
    policy: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and the bundle that gave it; no bundle where the engine itself refused."""

    verdict: Verdict
    bundle: BundleRef | None = None
    stages: Stages = Stages()


def _refusal(code: str, severity: Severity, reason: str, retry_guidance: RetryGuidance) -> Decision:
    return Decision(Verdict(False, (Violation(code, severity, reason, retry_guidance),)))


def jwt_invalid(reason: str) -> Decision:
    """A denial before the policy is asked, because no claim may be believed."""
    return _refusal("JWT_INVALID", "high", f"the session token is refused: {reason}", "reprovision")


def request_invalid(reason: str) -> Decision:
    """A denial of a request that is unfit to be judged."""
    return _refusal("REQUEST_INVALID", "high", reason, "change_args")


def policy_error(reason: str) -> Decision:
    """A denial because the engine cannot decide; the reason is for an operator."""
    return _refusal("POLICY_ERROR", "critical", reason, "none")


def undecided(error: Exception) -> Decision:
    """A denial for want of a decision; what is unexpected is told in the log, not to the caller."""
    if isinstance(error, ScopeboundError):
        return policy_error(str(error))
    return policy_error(f"the engine failed ({type(error).__name__}); its log has the details")


class Bundles(Protocol):
    """Where the bundle comes from that decides; see `decision/follower.py`."""

    def at_least(self, generation: int, deadline: float) -> Loaded:
        """The bundle of this generation or a newer one. Raises EvaluationError."""


class DecisionPoint:
    """Decides tool calls. Safe for use by many threads."""

    def __init__(
        self,
        tokens: Tokens,
        state: SessionState,
        bundles: Bundles,
        *,
        clock: Callable[[], float],
        waiting: int = 24,
    ) -> None:
        """`waiting` calls of one session may be in line; keep it well below the threads."""
        self._tokens, self._state, self._bundles, self._clock = tokens, state, bundles, clock
        self._slots = SessionSlots(EVALUATIONS_PER_SESSION, waiting)

    def decide(self, call: Call, token: str, deadline: float) -> Decision:
        """The decision on a call; `deadline` is a time of `time.monotonic()`."""
        try:
            return self._decide(call, token, deadline)
        except TokenError as error:
            return jwt_invalid(str(error))
        except (EvaluationError, StateUnavailableError) as error:
            log.error("undecided", reason=str(error), tool_name=call.tool_name)
            return policy_error(str(error))
        except Exception as error:  # any doubt denies, a bug of our own too
            log.error("undecided", exc_info=error, tool_name=call.tool_name)
            return undecided(error)

    def _decide(self, call: Call, token: str, deadline: float) -> Decision:
        started = time.perf_counter()
        claims = self._tokens.verify(token)
        verified = time.perf_counter()
        with self._slots.take(claims["jti"], deadline - STATE_SECONDS):
            session = self._state.enter(
                Entry(
                    claims["jti"],
                    claims["role_id"],
                    claims["rate_limit_per_minute"],
                    claims["rate_limit_per_hour"],
                )
            )
            entered = time.perf_counter()
            bundle, document = self._prepared(call, claims, session, deadline)
            built = time.perf_counter()
            try:
                verdict = bundle.pool.evaluate(document, deadline)
            except EvaluatorsClosedError:
                # Activations came between; what is in force now was so even later.
                bundle, document = self._prepared(call, claims, session, deadline)
                verdict = bundle.pool.evaluate(document, deadline)
        judged = time.perf_counter()
        stages = Stages(verified - started, entered - verified, built - entered, judged - built)
        return Decision(verdict, bundle.ref, stages)

    def _prepared(
        self, call: Call, claims: Mapping[str, Any], session: SessionFacts, deadline: float
    ) -> tuple[Loaded, dict[str, Any]]:
        """What decides the call, and the facts as that bundle asks for them."""
        bundle = self._bundles.at_least(session.generation, deadline)
        now_ms = int(self._clock() * 1000)
        return bundle, facts.build(call, claims, now_ms, session, matchers=bundle.matchers)


class SessionSlots:
    """At most `size` evaluations of one session at once in this process, and `waiting` in line.

    A session that floods the engine is shed at once, before it holds the threads of others.
    """

    def __init__(self, size: int, waiting: int) -> None:
        self._size, self._waiting = size, waiting
        self._here: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._freed = threading.Condition()

    @contextmanager
    def take(self, session_id: str, deadline: float) -> Iterator[None]:
        """Hold a slot of the session. Raises OverloadError when none is free in time."""
        with self._line(session_id):
            self._enter(session_id, deadline)
            try:
                yield
            finally:
                self._count(self._busy, session_id, -1)

    @contextmanager
    def _line(self, session_id: str) -> Iterator[None]:
        with self._freed:
            if self._here[session_id] >= self._size + self._waiting:
                raise self._overload("were already waiting to be decided")
            self._here[session_id] += 1
        try:
            yield
        finally:
            self._count(self._here, session_id, -1)

    def _enter(self, session_id: str, deadline: float) -> None:
        with self._freed:
            if not self._freed.wait_for(
                lambda: self._busy[session_id] < self._size,
                timeout=max(0.0, deadline - time.monotonic()),
            ):
                raise self._overload("were being decided until the deadline")
            self._busy[session_id] += 1

    def _count(self, counter: Counter[str], session_id: str, change: int) -> None:
        with self._freed:
            counter[session_id] += change
            if not counter[session_id]:
                del counter[session_id]
            self._freed.notify_all()

    def _overload(self, what: str) -> OverloadError:
        return OverloadError(
            f"other calls of this session {what}; send fewer at once: {self._size} are decided "
            f"together and {self._waiting} wait"
        )
