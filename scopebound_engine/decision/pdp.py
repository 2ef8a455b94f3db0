"""The decision point: one call in, one decision out; any doubt denies."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import structlog

from scopebound_engine.decision import facts
from scopebound_engine.decision.active import BundleRef, Loaded
from scopebound_engine.decision.denials import Denials, Latches
from scopebound_engine.decision.entries import entry_of
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.slots import SessionSlots
from scopebound_engine.errors import (
    EvaluationError,
    EvaluatorsClosedError,
    ScopeboundError,
    TokenError,
)
from scopebound_engine.session.drift.evidence import Baseline
from scopebound_engine.session.state.seam import REPEAT_US, Entry, SessionFacts, SessionState
from scopebound_engine.session.tokens import Claims, Genuine, Tokens
from scopebound_engine.strict_json import quote
from scopebound_engine.verdict import RetryGuidance, Severity, Verdict, Violation

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
    """A verdict and the bundle that gave it; no bundle where the engine itself refused.

    The rest is there as far as the call came: how it entered its session and what it found, the
    claims that were believed and the key they were signed with, and the Rego input.
    """

    verdict: Verdict
    bundle: BundleRef | None = None
    stages: Stages = Stages()
    entry: Entry | None = None
    session: SessionFacts | None = None
    call: Call | None = None
    claims: Claims | None = None
    kid: str | None = None
    facts: Mapping[str, Any] | None = None


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
    if isinstance(error, EvaluationError):
        return replace(policy_error(str(error)), facts=error.facts)
    if isinstance(error, ScopeboundError):
        return policy_error(str(error))
    return policy_error(f"the engine failed ({type(error).__name__}); its log has the details")


def _or_denied(call: Call, decide: Callable[[], Decision]) -> Decision:
    """What `decide` says of the call; any doubt denies, a bug of our own too."""
    try:
        return decide()
    except TokenError as error:
        return jwt_invalid(str(error))
    except ScopeboundError as error:
        log.error("undecided", reason=str(error), tool_name=call.tool_name)
        return undecided(error)
    except Exception as error:
        log.error("undecided", exc_info=error, tool_name=call.tool_name)
        return undecided(error)


class Bundles(Protocol):
    """Where the bundle comes from that decides; see `decision/follower.py`."""

    def at_least(self, generation: int, deadline: float) -> Loaded:
        """The bundle of this generation or a newer one. Raises EvaluationError."""


class Baselines(Protocol):
    """Where the baselines are that sessions pinned; see `session/drift/baselines.py`."""

    def get(self, baseline_id: int) -> Baseline:
        """The baseline of this id. Raises NotFoundError, DatabaseUnavailableError."""


class Judge:
    """Asks the bundle in force. Safe for use by many threads."""

    def __init__(self, bundles: Bundles, baselines: Baselines, clock: Callable[[], float]) -> None:
        self._bundles, self._baselines, self._clock = bundles, baselines, clock

    def ask(
        self,
        call: Call,
        claims: Mapping[str, Any],
        session: SessionFacts,
        deadline: float,
        child: Mapping[str, Any] | None = None,
    ) -> Decision:
        """What it decides. Raises EvaluationError where it does not; see `facts.build`."""
        entered = time.perf_counter()
        bundle, document = self._prepared(call, claims, session, child, deadline)
        built = time.perf_counter()
        try:
            verdict = _evaluated(bundle, document, deadline)
        except EvaluatorsClosedError:
            # Activations came between; what is in force now was so even later.
            bundle, document = self._prepared(call, claims, session, child, deadline)
            verdict = _evaluated(bundle, document, deadline)
        stages = Stages(facts=built - entered, policy=time.perf_counter() - built)
        return Decision(verdict, bundle.ref, stages, call=call, claims=claims, facts=document)

    def _prepared(
        self,
        call: Call,
        claims: Mapping[str, Any],
        session: SessionFacts,
        child: Mapping[str, Any] | None,
        deadline: float,
    ) -> tuple[Loaded, dict[str, Any]]:
        """What decides the call, and the facts as that bundle asks for them."""
        bundle = self._bundles.at_least(session.generation, deadline)
        pinned = session.baseline_id
        document = facts.build(
            call,
            claims,
            int(self._clock() * 1000),
            session,
            child=child,
            matchers=bundle.matchers,
            baseline=None if pinned is None else self._baselines.get(pinned),
        )
        return bundle, document


def _evaluated(bundle: Loaded, document: Mapping[str, Any], deadline: float) -> Verdict:
    try:
        return bundle.pool.evaluate(document, deadline)
    except EvaluationError as error:
        error.facts = document
        raise


@dataclass(slots=True)
class _Known:
    """How far a call came: what is known of it, and the seconds that its first stages took."""

    call: Call
    believed: Genuine | None = None
    entry: Entry | None = None
    session: SessionFacts | None = None
    token: float = 0.0
    state: float = 0.0

    def decision(self, judged: Decision) -> Decision:
        """What was judged, with all that is known."""
        return Decision(
            judged.verdict,
            judged.bundle,
            Stages(self.token, self.state, judged.stages.facts, judged.stages.policy),
            self.entry,
            self.session,
            self.call,
            None if self.believed is None else self.believed.claims,
            None if self.believed is None else self.believed.kid,
            judged.facts,
        )


class DecisionPoint:
    """Decides tool calls. Safe for use by many threads."""

    def __init__(
        self,
        tokens: Tokens,
        state: SessionState,
        bundles: Bundles,
        baselines: Baselines,
        latches: Latches,
        *,
        clock: Callable[[], float],
        waiting: int = 24,
    ) -> None:
        """`waiting` calls of one session may be in line; keep it well below the threads."""
        self._tokens, self._state = tokens, state
        self._judge = Judge(bundles, baselines, clock)
        self._slots = SessionSlots(EVALUATIONS_PER_SESSION, waiting)
        self._denials = Denials(state, latches)

    def decide(self, call: Call, token: str, deadline: float) -> Decision:
        """The decision on a call; `deadline` is a time of `time.monotonic()`."""
        known = _Known(call)
        return known.decision(_or_denied(call, lambda: self._decide(known, token, deadline)))

    def withdrawn(self, decision: Decision, denial: Decision, deadline: float) -> Decision:
        """The denial that is answered instead of a decision, which was perhaps an allow.

        The call is then none of its session's.
        """
        entry, session = decision.entry, decision.session
        if decision.verdict.allow and entry is not None and session is not None:
            self._denials.settle(entry, session, denial.verdict, deadline)
        return replace(denial, entry=entry, session=session)

    def _decide(self, known: "_Known", token: str, deadline: float) -> Decision:
        started = time.perf_counter()
        known.believed = self._tokens.genuine(token)
        known.token = time.perf_counter() - started
        claims = known.believed.claims
        return _or_denied(known.call, lambda: self._entered(known, claims, deadline))

    def _entered(self, known: "_Known", claims: Claims, deadline: float) -> Decision:
        call, verified = known.call, time.perf_counter()
        with self._slots.take(claims["jti"], deadline - STATE_SECONDS):
            entry = entry_of(call, claims)
            session = self._state.enter(entry)
            entered = time.perf_counter()
            # Once it has entered, to be undecided is a denial to be settled like any other.
            decision = _or_denied(call, lambda: self._judged(call, claims, session, deadline))
            self._denials.settle(entry, session, decision.verdict, deadline)
        known.entry, known.session, known.state = entry, session, entered - verified
        return decision

    def _judged(
        self, call: Call, claims: Mapping[str, Any], session: SessionFacts, deadline: float
    ) -> Decision:
        """What the bundle in force decides."""
        if session.conflict:
            return request_invalid(
                f"call_id {quote(call.call_id)} was given to another call within the last "
                f"{REPEAT_US // 1_000_000} s; repeat a call under its call_id and unchanged, and "
                "give every other call one of its own, or none"
            )
        return self._judge.ask(call, claims, session, deadline)
