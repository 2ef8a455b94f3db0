"""GET /healthz and /.well-known/jwks.json: what anyone may know of this node."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import falcon

from scopebound_engine.api.answers import answer_json
from scopebound_engine.decision.active import ActiveBundle
from scopebound_engine.session.keys import SigningKeys
from scopebound_engine.times import moment, timestamp

# The reference's letter: clients read it as an interface version.
SPRINT: Final = "7"


@dataclass(frozen=True, slots=True)
class Health:
    """Can this node decide? "down" (503) when not, "degraded" when something is missing."""

    active: ActiveBundle
    evaluators: int
    database_answers: Callable[[], bool]
    loaded_at: float
    started: float

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """The node's health; no API key is needed."""
        database, ready = self.database_answers(), self.active.evaluators
        status = "ok" if database and ready == self.evaluators else "degraded"
        if self.active.ref is None or not ready or not database:
            status = "down"
        answer_json(
            resp,
            {
                "status": status,
                "sprint": SPRINT,
                "uptime_seconds": int(time.monotonic() - self.started),
                "bundle_version": self.active.ref.version if self.active.ref else None,
                "bundle_last_synced_at": timestamp(moment(self.loaded_at)),
                "db_status": "ok" if database else "down",
            },
            HTTPStatus.SERVICE_UNAVAILABLE if status == "down" else HTTPStatus.OK,
        )


@dataclass(frozen=True, slots=True)
class Jwks:
    """The public keys that session tokens are verified with (RFC 7517)."""

    keys: SigningKeys

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """The key set; no API key is needed."""
        answer_json(resp, self.keys.jwks())
