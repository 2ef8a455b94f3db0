"""A provisioner on real stores, for tests that need no bundle or bring their own judge."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from scopebound_engine.decision.active import Loaded
from scopebound_engine.decision.delegation import Delegations
from scopebound_engine.decision.pdp import Judge
from scopebound_engine.decision.provision import Provisioner
from scopebound_engine.errors import EvaluationError
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.state.seam import SessionState
from scopebound_engine.session.store import Sessions
from tests.signing import tokens

PLENTY = 1_000_000


class NoBundle:
    """No bundle was ever activated."""

    def at_least(self, generation: int, deadline: float) -> Loaded:
        raise EvaluationError("no policy bundle is active")


def make_provisioner(
    engine: Engine, state: SessionState, clock: Callable[[], float], **parts: Any
) -> Provisioner:
    """Provisions without limit what is stored there; `parts` takes the place of its own ones."""
    roles, baselines = RoleStore(engine, clock), Baselines(engine, clock)
    made: dict[str, Any] = {
        "roles": roles,
        "sessions": Sessions(engine, clock),
        "tokens": tokens(clock),
        "state": state,
        "baselines": baselines,
        "delegations": Delegations(roles, state, lambda: 0, Judge(NoBundle(), baselines, clock)),
        "per_minute": PLENTY,
        "clock": clock,
    }
    return Provisioner(**(made | parts))
