"""What sessions leave behind, seen to from time to time: learned from, and forgotten."""

from typing import Final

from scopebound_engine.housekeeping import Job
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.drift.fitting import fit_all
from scopebound_engine.session.state.seam import SessionState
from scopebound_engine.session.store import Sessions

_END_SECONDS: Final = 30.0
_SWEEP_SECONDS: Final = 10.0
_FORGET_SECONDS: Final = 600.0


def jobs(
    baselines: Baselines,
    roles: RoleStore,
    sessions: Sessions,
    state: SessionState,
    *,
    fit_seconds: float,
) -> tuple[Job, ...]:
    """The jobs of a node; several nodes on one database may do them at once."""
    return (
        Job("take over ended sessions", _END_SECONDS, lambda: take_over(baselines, state)),
        Job("sweep session state", _SWEEP_SECONDS, state.sweep),
        Job("forget sessions", _FORGET_SECONDS, sessions.forget),
        Job("fit baselines", fit_seconds, lambda: fit_all(baselines, roles), "fit"),
    )


def take_over(baselines: Baselines, state: SessionState) -> None:
    """Keep what all sessions did that have expired, then let go of their volatile state.

    Where this ends between the two, that state is swept a day later.
    """
    while ended := baselines.take_over(state.counts_of):
        state.drop(ended)
