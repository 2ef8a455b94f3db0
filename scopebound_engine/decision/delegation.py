"""Delegation: whether a session may spawn another one, which is the bundle's to say.

The bundle is asked with the action `delegate`, the claims of the session that would be the parent,
and what its child asks for. Nothing is taken from the parent's buckets and no call is counted.
"""

from collections.abc import Callable
from dataclasses import dataclass

from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import Decision, Judge
from scopebound_engine.errors import NotFoundError
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.state.seam import UNLIMITED, SessionFacts, SessionState, Standing
from scopebound_engine.session.store import SessionRecord


@dataclass(frozen=True, slots=True)
class Child:
    """The session that is asked for: its role, its tools, and the seconds it would like to live.

    It lives no longer than its parent, whatever it would like.
    """

    role: str
    allowed_tools: tuple[str, ...]
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Delegations:
    """Decides delegations. Safe for use by many threads.

    `generation` tells that of the bundle in force, 0 where none ever was.
    """

    roles: RoleStore
    state: SessionState
    generation: Callable[[], int]
    judge: Judge

    def decide(
        self, parent: SessionRecord | None, child: Child, call_id: str, deadline: float
    ) -> Decision:
        """The decision on a delegation; `deadline` is a time of `time.monotonic()`.

        No parent: one that the caller does not know, whose every claim is missing. Raises
        EvaluationError where no decision can be made, DatabaseUnavailableError,
        StateUnavailableError.
        """
        return self.judge.ask(
            Call("delegate", None, {}, call_id),
            {} if parent is None else parent.claims,
            self._facts_of(parent),
            deadline,
            child={
                "role": child.role,
                "allowed_tools": list(child.allowed_tools),
                "ttl_seconds": child.ttl_seconds,
            },
        )

    def _facts_of(self, parent: SessionRecord | None) -> SessionFacts:
        """What an enforce call of the parent would find, but that nothing is taken."""
        standing, minute, hour = self._standing(parent), UNLIMITED, UNLIMITED
        counts: tuple[int, ...] = ()
        if parent is not None:
            claims = parent.claims
            minute, hour = self.state.peek(
                parent.id, claims["rate_limit_per_minute"], claims["rate_limit_per_hour"]
            )
            counts = self.state.counts_of([parent.id]).get(parent.id, ())
        return SessionFacts(
            minute,
            hour,
            revoked_reason=standing.revoked_reason,
            generation=standing.generation,
            counts=counts,
            baseline_id=standing.baseline_id,
            latched=standing.latched,
        )

    def _standing(self, parent: SessionRecord | None) -> Standing:
        generation = self.generation()
        if parent is None:
            return Standing(generation, False, None, False, False, None, None, False)
        role = self._role(parent.role_id)
        return Standing(
            generation,
            role_found=role is not None,
            suspended_reason=None if role is None else role.suspended_reason,
            session_found=True,
            is_revoked=parent.revoked_at is not None,
            session_reason=parent.revoked_reason,
            baseline_id=parent.baseline_id,
            latched=parent.latched_at is not None,
        )

    def _role(self, role_id: str) -> Role | None:
        try:
            return self.roles.get(role_id)
        except NotFoundError:
            return None
