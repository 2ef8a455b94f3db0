"""/mgmt/v1/roles/{id}/baseline: what a role's sessions usually do, by which drift is judged."""

from dataclasses import dataclass

import falcon

from scopebound_engine.access.model import AUDIT, ROLES
from scopebound_engine.api import queries
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.auth import require
from scopebound_engine.api.roles import role_uuid
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.drift.fitting import newest


@dataclass(frozen=True, slots=True)
class BaselineItem:
    """The baseline of one role, by the role's UUID."""

    roles: RoleStore
    baselines: Baselines

    def on_get(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """What the role's sessions usually do, and which deviations from it would be noticed."""
        require(req, ROLES, AUDIT)
        queries.only(req)
        role = self.roles.get(role_uuid(role_id))
        answer_json(resp, newest(self.baselines, role).document())
