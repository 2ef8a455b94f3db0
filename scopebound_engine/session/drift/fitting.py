"""Baselines of roles: fitted, on a schedule or when an operator says so, and shown."""

from dataclasses import dataclass
from typing import Any

from scopebound_engine.role.inheritance import effective
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift.baselines import Baselines, StoredBaseline
from scopebound_engine.session.drift.likelihood import MIN_SESSIONS
from scopebound_engine.session.drift.words import notices, waiting
from scopebound_engine.times import timestamp


@dataclass(frozen=True, slots=True)
class RoleBaseline:
    """A role's newest baseline, None before there is one.

    `sessions` are the ended ones that a fit would look at now.
    """

    role: Role
    sessions: int
    stored: StoredBaseline | None

    @property
    def notices(self) -> list[str]:
        """What would be noticed of deviating sessions, or why nothing would."""
        if self.stored is None:
            return [waiting(self.sessions)]
        return notices(self.stored.baseline)

    def document(self) -> dict[str, Any]:
        """As the API answers it."""
        return {
            "ready": self.stored is not None,
            "role_id": self.role.id,
            "sessions": self.sessions,
            "needed": MIN_SESSIONS,
            "baseline": None if self.stored is None else _document(self.stored),
            "notices": self.notices,
        }


def newest(baselines: Baselines, role: Role) -> RoleBaseline:
    """The baseline that new sessions of the role pin."""
    return RoleBaseline(role, baselines.count_ended(role.id), baselines.newest(role.id))


def fit(baselines: Baselines, roles: RoleStore, role: Role) -> RoleBaseline:
    """The role's baseline, fitted anew to the tools that the role and its ancestors allow."""
    tools = effective(roles.chain(role)).allowed_tools
    stored = baselines.fit(role.id, tools) or baselines.newest(role.id)
    return RoleBaseline(role, baselines.count_ended(role.id), stored)


def fit_all(baselines: Baselines, roles: RoleStore) -> list[RoleBaseline]:
    """The baselines of all roles, fitted anew, by the roles' names; also those that have none."""
    return [fit(baselines, roles, role) for role in roles.list()]


def _document(stored: StoredBaseline) -> dict[str, Any]:
    baseline = stored.baseline
    *frequencies, others = baseline.frequencies
    return {
        "id": stored.id,
        "fitted_at": timestamp(stored.fitted_at),
        "sessions": baseline.sessions,
        "calls": baseline.calls,
        "concentration": baseline.concentration,
        "frequencies": dict(zip(baseline.tools, frequencies, strict=True)),
        "others": others,
    }
