"""/mgmt/v1/decisions/{id}/explain: why a recorded decision came out as it did."""

from dataclasses import dataclass
from typing import Final

import falcon

from scopebound_engine import strict_json
from scopebound_engine.access.model import AUDIT
from scopebound_engine.api import queries
from scopebound_engine.api.auth import require
from scopebound_engine.api.seats import Seats
from scopebound_engine.author.explaining.explain import document
from scopebound_engine.author.explaining.recorded import Explainer
from scopebound_engine.log.decisions import DecisionLog
from scopebound_engine.log.replayable import read

# It compiles the policy twice and evaluates it some hundred times at most.
SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class DecisionExplanation:
    """One record, decided again and looked at: in processes of its own, a few at a time."""

    log: DecisionLog
    explainer: Explainer
    seats: Seats

    def on_get(self, req: falcon.Request, resp: falcon.Response, decision_id: str) -> None:
        """The rules that fired, those that nearly did, and what would turn a denial.

        The record's input is decided again by the bundle that decided it. Each change that is
        offered was tried on the policy: it allows the facts that the service would make then.
        """
        require(req, AUDIT)
        queries.only(req)
        record = read(self.log.get(decision_id).encode())
        with self.seats.take():
            explanation = self.explainer.explain(record, SECONDS)
        told = {"decision_id": decision_id, **document(explanation)}
        resp.content_type, resp.data = falcon.MEDIA_JSON, strict_json.dumps(told)
